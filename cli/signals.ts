/** Resolves at SIGTERM or SIGINT: time to close in order. A second signal ends the process at once. Until then the process lives, whatever it waits for. */
export const untilSignal = (): Promise<void> =>
  new Promise((resolve) => {
    const alive = setInterval(() => {}, 2 ** 31 - 1)
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        clearInterval(alive)
        resolve()
      })
    }
  })
