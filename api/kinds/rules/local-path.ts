// Paths that must stay below a directory.

import type { Faults } from './faults.ts'

const climbs = (path: string): boolean => path.includes('..') && path.split('/').includes('..')

export function validateNoBacksteps(field: string, path: string, faults: Faults): void {
  if (climbs(path)) faults.invalid(field, path, "must not contain '..'")
}

/** Relative, and never upwards. */
export function validateDescendingPath(field: string, path: string, faults: Faults): void {
  if (path.startsWith('/')) faults.invalid(field, path, 'must be a relative path')
  validateNoBacksteps(field, path, faults)
}

/** As those of files that the agent writes: names that begin with two dots are its own. */
export function validateNonReservedPath(field: string, path: string, faults: Faults): void {
  validateDescendingPath(field, path, faults)
  if (path.startsWith('..') && !path.startsWith('../')) faults.invalid(field, path, "must not start with '..'")
}
