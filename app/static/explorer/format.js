// Numbers and times as people read them.

import { strings } from './strings.js'

export const number = (value, digits = 4) =>
  value === null || value === undefined
    ? '–'
    : Number(value).toLocaleString(undefined, { maximumSignificantDigits: Math.abs(value) >= 1000 ? 6 : digits })

export function age(time, now = Date.now()) {
  if (!time) return '–'
  const seconds = Math.max(0, (now - Date.parse(time)) / 1000)
  if (seconds < 60) return `${Math.round(seconds)} ${strings.ago.s}`
  if (seconds < 3600) return `${Math.round(seconds / 60)} ${strings.ago.m}`
  if (seconds < 172800) return `${Math.round(seconds / 3600)} ${strings.ago.h}`
  return `${Math.round(seconds / 86400)} ${strings.ago.d}`
}

/** ISO 8601 in UTC without a fraction, of a date or of milliseconds. */
export const iso = (time) => new Date(time).toISOString().replace(/\.\d+Z$/, 'Z')

/** One cell of a CSV file; a leading = + - @ of a text must not become a formula. */
export function cell(value) {
  if (value === null || value === undefined) return ''
  if (typeof value === 'number') return String(value)
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value
  return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

/** Days are those of whoever fills in a form: where one begins and ends, and the day of a time, as date fields have it. */
export const dayBegins = (day) => (day ? iso(new Date(`${day}T00:00:00`)) : null)
export const dayEnds = (day) => (day ? iso(new Date(`${day}T23:59:59`)) : null)
export const dayOf = (time) => (time ? new Date(time).toLocaleDateString('sv') : '') // Swedes write 2026-01-15

export const HOUR = 3_600_000
export const DAY = 24 * HOUR
