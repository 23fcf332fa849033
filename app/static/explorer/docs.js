// The API's reference for whoever has signed in at the explorer: what they try out there is done in their name.

import { renew, user } from './session.js'

const RENEWED_EVERY = 30 * 60_000 // ms; an access token lasts an hour
const reference = document.querySelector('rapi-doc')

// No stylesheet reaches its link to the explorer, and the blue of links cannot be read on the column it stands in.
reference.querySelector('[slot="nav-logo"]').style.color = 'inherit'

async function introduce() {
  const known = await user()
  if (known) reference.setApiKey('bearer', known.access_token)
}

if (matchMedia('(prefers-color-scheme: dark)').matches) {
  reference.setAttribute('theme', 'dark')
  reference.setAttribute('primary-color', '#82b4ff')
}
// A phone has no room for the column of operations: it gets them all, folded.
if (matchMedia('(max-width: 768px)').matches) reference.setAttribute('render-style', 'view')
reference.addEventListener('spec-loaded', introduce)
setInterval(async () => {
  await renew()
  await introduce()
}, RENEWED_EVERY)
