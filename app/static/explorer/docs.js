// The API's reference for whoever has signed in at the explorer: what they try out there is done in their name.

import { renew, user } from './session.js'

const RENEWED_EVERY = 30 * 60_000 // ms; an access token lasts an hour
const reference = document.querySelector('rapi-doc')

async function introduce() {
  const known = await user()
  if (known) reference.setApiKey('bearer', known.access_token)
}

if (matchMedia('(prefers-color-scheme: dark)').matches) {
  reference.setAttribute('theme', 'dark')
  reference.setAttribute('primary-color', '#82b4ff')
}
reference.addEventListener('spec-loaded', introduce)
setInterval(async () => {
  await renew()
  await introduce()
}, RENEWED_EVERY)
