// YAML bodies as JSON text. Long ones are read in a thread that ends after them: others are served meanwhile.

import { Worker } from 'node:worker_threads'
import { StatusError } from '#api/errors.ts'
import { type Converted, YamlError, yamlToJson } from '#api/yaml/yaml.ts'

/** In characters; what is read within some milliseconds is read here. */
const shortText = 64 * 1024
/** Of a thread, in megabytes: the largest body and all that comes of it take a part of that. */
const resourceLimits = { maxOldGenerationSizeMb: 384, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 }

export type YamlAnswer = Converted | { wrong: string }

/** One at a time. */
let last: Promise<unknown> = Promise.resolve()

/** Throws BadRequest. */
export async function convertYaml(text: string): Promise<Converted> {
  if (text.length <= shortText) {
    try {
      return yamlToJson(text)
    } catch (error) {
      throw error instanceof YamlError ? badYaml(error.message) : error
    }
  }
  const turn = last.then(() => inThread(text))
  last = turn.catch(() => {})
  const answer = await turn
  if ('wrong' in answer) throw badYaml(answer.wrong)
  return answer
}

const badYaml = (why: string): StatusError => new StatusError('BadRequest', `error converting YAML to JSON: yaml: ${why}`)

async function inThread(text: string): Promise<YamlAnswer> {
  const worker = new Worker(new URL('yaml-worker.ts', import.meta.url), { workerData: text, resourceLimits })
  try {
    return await new Promise<YamlAnswer>((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', (cause) =>
        reject(new StatusError('BadRequest', 'error converting YAML to JSON: it is too much', undefined, { cause })),
      )
      worker.once('exit', () => reject(new StatusError('InternalError', 'error converting YAML to JSON: the thread ended')))
    })
  } finally {
    await worker.terminate()
  }
}
