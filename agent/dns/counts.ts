// How often the name server answered, from where and with what: counted as numbers, read when asked for.

import { Counter, type Registry } from 'prom-client'

export const sources = ['cluster', 'memory', 'hosts', 'forwarded', 'stale', 'refused'] as const
export type Source = (typeof sources)[number]

export type Counts = {
  readonly answered: Record<Source, number>
  /** By DNS response code. */
  readonly rcodes: Map<number, number>
  failures: number
}

export const newCounts = (): Counts => ({
  answered: { cluster: 0, memory: 0, hosts: 0, forwarded: 0, stale: 0, refused: 0 },
  rcodes: new Map(),
  failures: 0,
})

const names = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED']

export const exportCounts = (counts: Counts, registry: Registry): void => {
  const counter = (name: string, help: string, labelNames: string[], collect: (this: Counter) => void) =>
    new Counter({ name, help, labelNames, registers: [registry], collect })
  counter('coracle_dns_answers_total', 'Answers of the name server, by where they came from.', ['source'], function () {
    this.reset()
    for (const source of sources) this.inc({ source }, counts.answered[source])
  })
  counter('coracle_dns_responses_total', 'Answers of the name server, by response code.', ['rcode'], function () {
    this.reset()
    for (const [rcode, count] of counts.rcodes) this.inc({ rcode: names[rcode] ?? String(rcode) }, count)
  })
  counter('coracle_dns_upstream_failures_total', 'Questions that no upstream server answered.', [], function () {
    this.reset()
    this.inc(counts.failures)
  })
}
