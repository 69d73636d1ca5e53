// The thread in which a long YAML body is read.

import { parentPort, workerData } from 'node:worker_threads'
import { YamlError, yamlToJson } from '#api/yaml/yaml.ts'
import type { YamlAnswer } from './yaml.ts'

function answer(): YamlAnswer {
  try {
    return yamlToJson(String(workerData))
  } catch (error) {
    if (error instanceof YamlError) return { wrong: error.message }
    throw error
  }
}

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
parentPort?.postMessage(answer())
