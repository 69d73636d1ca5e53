// `coracle certs …`: the certificates of this host's server and agent, and new ones for them while they run.

import { X509Certificate } from 'node:crypto'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { renewFile } from '#api/x509/renewal.ts'

type Where = { dataDir?: string }

const usualDirs = ['/var/lib/coracle/server', '/var/lib/coracle/agent']
const renewedWithinMs = 60_000
const lookEveryMs = 100
const day = 86_400_000

export async function listCertificates({ dataDir }: Where): Promise<void> {
  const found = (await Promise.all(foldersOf(dataDir).map(certificatesIn))).flat()
  if (found.length === 0)
    throw new Error(
      `no certificates in ${foldersOf(dataDir).join(' or ')}: has a server or agent run here, with this --data-dir, and are you root?`,
    )
  const rows = found.map(({ name, pem }) => [name, ...described(pem)])
  const table = [['FILE', 'NAME', 'AUTHORITY', 'ENDS', 'LEFT'], ...rows]
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)))
  for (const row of table) console.log(row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('   '))
}

/** Whose it is, who vouches for it, when it ends and how long that is. */
function described(pem: string): string[] {
  try {
    const { subject, issuer, validTo } = new X509Certificate(pem)
    const end = Date.parse(validTo)
    const left = end - Date.now()
    return [
      commonNameIn(subject),
      commonNameIn(issuer),
      new Date(end).toISOString().slice(0, 10),
      left > 0 ? `${Math.floor(left / day)}d` : '<over>',
    ]
  } catch {
    return ['<damaged>', '', '', '']
  }
}

/** What runs takes the wish up at once; what does not run, at its next start. */
export async function renewCertificates({ dataDir }: Where): Promise<void> {
  const folders = (await Promise.all(foldersOf(dataDir).map(async (dir) => ((await exists(pkiOf(dir))) ? [dir] : [])))).flat()
  if (folders.length === 0) throw new Error(`${foldersOf(dataDir).join(' and ')}: no server or agent has run here`)
  for (const dir of folders) await writeFile(join(pkiOf(dir), renewFile), '', { mode: 0o600 })
  const waiting = new Set(folders)
  for (const end = Date.now() + renewedWithinMs; waiting.size > 0 && Date.now() < end; await sleep(lookEveryMs)) {
    for (const dir of waiting) if (!(await exists(join(pkiOf(dir), renewFile)))) waiting.delete(dir)
  }
  await listCertificates({ ...(dataDir && { dataDir }) })
  if (waiting.size > 0)
    throw new Error(
      `not renewed yet: ${[...waiting].join(', ')}. What runs there tries again and says why in its log; what does not run, at its start`,
    )
}

const foldersOf = (dataDir: string | undefined): string[] => (dataDir ? [dataDir] : usualDirs)
const pkiOf = (dir: string): string => join(dir, 'pki')

async function certificatesIn(dir: string): Promise<{ name: string; pem: string }[]> {
  const names = await readdir(pkiOf(dir), { recursive: true }).catch((): string[] => [])
  const files = names.filter((name) => name.endsWith('.crt')).sort()
  const found = await Promise.all(
    files.map(async (name) => ({ name: join(pkiOf(dir), name), pem: await readFile(join(pkiOf(dir), name), 'utf8') })),
  )
  if (!names.includes('credentials.json')) return found
  const file = join(pkiOf(dir), 'credentials.json')
  const { ca, agentsCa, client, serving } = JSON.parse(await readFile(file, 'utf8')) as Record<string, string & { cert: string }>
  const parts = { ca, agentsCa, client: client?.cert, serving: serving?.cert }
  return [...found, ...Object.entries(parts).flatMap(([part, pem]) => (pem ? [{ name: `${file} ${part}`, pem }] : []))]
}

const commonNameIn = (name: string): string => /^CN=(.*)$/m.exec(name)?.[1] ?? name.replaceAll('\n', ',')

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
