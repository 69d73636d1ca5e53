// Names of kernel parameters, and the namespace that holds each (sysctl(8)).

const segment = '[a-z0-9]([-_a-z0-9]*[a-z0-9])?'
const form = `^(${segment}[\\./])*${segment}$`
const pattern = new RegExp(form)
const longest = 253

export const wrongSysctlName = `must have at most ${longest} characters and match regex ${form}`

export const isSysctlName = (name: string): boolean => name.length <= longest && pattern.test(name)

/** Undefined for what is not namespaced: it is the node's. */
export function sysctlNamespace(name: string): 'net' | 'ipc' | undefined {
  const dotted = name.replaceAll('/', '.')
  if (dotted.startsWith('net.')) return 'net'
  return dotted === 'kernel.sem' || /^(kernel\.shm|kernel\.msg|fs\.mqueue\.)/.test(dotted) ? 'ipc' : undefined
}
