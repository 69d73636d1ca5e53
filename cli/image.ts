// `coracle image …`: works on the agent's image folder directly, whether or not the agent runs.

import { join } from 'node:path'
import type { Image } from '#agent/images/images.ts'
import { type ImageStore, openImages } from '#agent/images/store.ts'
import { silent } from '#api/log.ts'

type Where = { dataDir: string; registries?: string }

async function withImages(where: Where, work: (images: ImageStore) => Promise<void>): Promise<void> {
  const images = await openImages({
    dir: join(where.dataDir, 'images'),
    log: silent,
    ...(where.registries && { registriesFile: where.registries }),
  })
  try {
    await work(images)
  } finally {
    await images.close()
  }
}

export const importImage = (file: string, options: Where & { name?: string }): Promise<void> =>
  withImages(options, async (images) => {
    for (const image of await images.import(file, options)) console.log(`imported ${nameOf(image)}`)
  })

export const pullImage = (reference: string, options: Where & { username?: string; passwordStdin?: boolean }): Promise<void> =>
  withImages(options, async (images) => {
    if (!options.username !== !options.passwordStdin) throw new Error('--username and --password-stdin go together')
    const credentials = options.username ? [{ username: options.username, password: (await readAll(process.stdin)).trimEnd() }] : []
    console.log(`pulled ${nameOf(await images.pull(reference, { credentials }))}`)
  })

export const removeImage = (reference: string, options: Where): Promise<void> =>
  withImages(options, async (images) => {
    if (!(await images.find(reference)))
      throw new Error(`no image ${JSON.stringify(reference)} here; \`coracle image list\` shows those there are`)
    if (!(await images.remove(reference))) throw new Error(`image ${JSON.stringify(reference)} is in use by a container`)
    console.log(`removed ${reference}`)
  })

export const listImages = (options: Where): Promise<void> =>
  withImages(options, async (images) => {
    const rows = (await images.list()).flatMap((image) => {
      const names = image.names.length > 0 ? image.names : ['<none>']
      return names.map((name) => [name, image.id.slice(7, 19), megabytes(image.size)])
    })
    const table = [['IMAGE', 'ID', 'SIZE'], ...rows.toSorted(([a = ''], [b = '']) => a.localeCompare(b))]
    const widths = [0, 1].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)))
    for (const row of table) console.log(row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('   '))
  })

const nameOf = (image: Image): string => image.names.join(', ') || image.id
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)}MB`

async function readAll(stream: NodeJS.ReadStream): Promise<string> {
  let text = ''
  for await (const chunk of stream) text += String(chunk)
  return text
}
