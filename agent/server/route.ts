// The kubelet's paths.

type Plain = 'healthz' | 'pods' | 'metrics' | 'metrics/resource' | 'stats/summary'
type OfContainer = 'containerLogs' | 'exec' | 'attach' | 'run' | 'portForward'

/** `container` is '' for portForward, which is of a pod. */
export type Route =
  | { name: Plain; namespace: ''; pod: ''; container: '' }
  | { name: OfContainer; namespace: string; pod: string; uid?: string; container: string }

const plain: readonly string[] = ['healthz', 'pods', 'metrics', 'metrics/resource', 'stats/summary'] satisfies Plain[]
const ofContainer: readonly string[] = ['containerLogs', 'exec', 'attach', 'run'] satisfies OfContainer[]

/** `/exec/<namespace>/<pod>[/<uid>]/<container>`, `/portForward/<namespace>/<pod>[/<uid>]`, or a path of the node. */
export function parseRoute(path: string): Route | undefined {
  const joined = path.replace(/^\/|\/$/g, '')
  if (plain.includes(joined)) return { name: joined as Plain, namespace: '', pod: '', container: '' }
  let parts: string[]
  try {
    parts = joined.split('/').map(decodeURIComponent)
  } catch {
    return undefined
  }
  const [name = '', namespace, pod, ...rest] = parts
  if (!namespace || !pod || rest.includes('')) return undefined
  if (name === 'portForward' && rest.length <= 1) return { name, namespace, pod, uid: rest[0], container: '' }
  if (!ofContainer.includes(name) || rest.length < 1 || rest.length > 2) return undefined
  return { name: name as OfContainer, namespace, pod, uid: rest.length === 2 ? rest[0] : undefined, container: rest.at(-1)! }
}
