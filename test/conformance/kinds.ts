// One object of every kind that a client can create, as people write them in manifests.

import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parseYamlDocuments } from '#api/yaml/yaml.ts'

const files = ['kinds.yaml', '../../control/server/objects/kinds.fixture.yaml']

export type Sample = { apiVersion: string; kind: string; metadata: { name: string } }

/** `namespace`: where those will be that name their own. */
export async function samples(namespace: string): Promise<Sample[]> {
  const texts = await Promise.all(files.map((file) => readFile(resolve(import.meta.dirname, file), 'utf8')))
  // An event of long ago would be forgotten at once.
  const now = new Date().toISOString().replace('Z', '000Z')
  return texts.flatMap((text) =>
    parseYamlDocuments(text.replaceAll('NAMESPACE', namespace).replace(/(eventTime: )\S+/, `$1"${now}"`)).map((d) => d as Sample),
  )
}
