// A scale from the lowest to the highest value, readable by the colour-blind (cividis, Nuñez et al. 2018, sampled).

const STOPS = ['#00224e', '#123570', '#3b496c', '#575d6d', '#707173', '#8a8678', '#a59c74', '#c3b369', '#e1cc55', '#fee838']
export const UNKNOWN = '#8a8f98'

/** The middle 96 % of the values: one broken sensor must not grey all others out. */
export function extent(values) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b)
  if (!sorted.length) return null
  const at = (share) => sorted[Math.round((sorted.length - 1) * share)]
  const [low, high] = [at(0.02), at(0.98)]
  return low < high ? [low, high] : [low - 1, high + 1]
}

export function colour(value, [low, high]) {
  if (!Number.isFinite(value)) return UNKNOWN
  const place = Math.min(1, Math.max(0, (value - low) / (high - low)))
  return STOPS[Math.round(place * (STOPS.length - 1))]
}

export const gradient = `linear-gradient(to right, ${STOPS.join(', ')})`
