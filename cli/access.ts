// What lets people and agents in: read from the server's folder, so only root on that host can.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

type Where = { dataDir: string }

export const readFrom = async (dir: string, file: string): Promise<string> => {
  const path = join(dir, 'pki', file)
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new Error(`${path} cannot be read: has \`coracle server\` run here, with this --data-dir, and are you root?`, { cause })
  }
}

export async function printKubeconfig({ dataDir, server }: Where & { server: string }): Promise<void> {
  const files = await Promise.all(['ca.crt', 'admin.crt', 'admin.key'].map((file) => readFrom(dataDir, file)))
  const [ca, cert, key] = files.map((text) => Buffer.from(text).toString('base64'))
  console.log(`apiVersion: v1
kind: Config
clusters:
- name: coracle
  cluster:
    server: ${JSON.stringify(new URL(server).origin)}
    certificate-authority-data: ${ca}
users:
- name: coracle-admin
  user:
    client-certificate-data: ${cert}
    client-key-data: ${key}
contexts:
- name: coracle
  context:
    cluster: coracle
    user: coracle-admin
current-context: coracle`)
}
