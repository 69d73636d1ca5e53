/** One measured figure. `reference` was measured in the same run; `ratio` is value / reference. */
export type Figure = { name: string; value: number; unit: string; reference?: { name: string; value: number }; ratio?: number }

export const figure = (name: string, value: number, unit: string, reference?: { name: string; value: number }): Figure => ({
  name,
  value,
  unit,
  ...(reference && { reference, ratio: value / reference.value }),
})

/** The p-th quantile (0..1) of the samples. */
export const quantile = (samples: readonly number[], p: number): number => {
  const sorted = [...samples].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))] ?? Number.NaN
}
