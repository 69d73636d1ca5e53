// The order in which Kubernetes prefers the versions of a group: `v2`, `v1`, `v1beta2`, `v1alpha1`, then all
// others by name.

const form = /^v(\d+)(?:(alpha|beta)(\d+))?$/
const stages = ['alpha', 'beta', undefined]

/** For sort: the preferred version first. */
export function compareVersions(a: string, b: string): number {
  const left = form.exec(a)
  const right = form.exec(b)
  if (!left || !right) return Number(!left) - Number(!right) || (a < b ? -1 : Number(a > b))
  const of = (match: RegExpExecArray) => [stages.indexOf(match[2]), Number(match[1]), Number(match[3] ?? 0)] as const
  const [x, y] = [of(left), of(right)]
  return y[0] - x[0] || y[1] - x[1] || y[2] - x[2]
}
