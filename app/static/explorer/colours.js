// A scale from the lowest to the highest value, readable by the colour-blind (cividis, Nuñez et al. 2018, sampled).

const STOPS = ['#00224e', '#123570', '#3b496c', '#575d6d', '#707173', '#8a8678', '#a59c74', '#c3b369', '#e1cc55', '#fee838']
const DARK = 5 // stops before this one want white on them
export const UNKNOWN = '#8a8f98'

export function colour(value, [low, high]) {
  const place = high > low ? Math.min(1, Math.max(0, (value - low) / (high - low))) : 0.5
  return STOPS[Math.round(place * (STOPS.length - 1))]
}

/** -1 for a value below the scale, 1 for one above it, else 0. */
export const beyond = (value, { low, high }) => (value < low ? -1 : value > high ? 1 : 0)

/** What can be read on a colour of the scale. */
export const ink = (fill) => (STOPS.indexOf(fill) >= 0 && STOPS.indexOf(fill) < DARK ? '#ffffff' : '#10141b')

export const gradient = `linear-gradient(to right, ${STOPS.join(', ')})`
