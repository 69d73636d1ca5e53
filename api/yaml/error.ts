/** What is wrong with a document, in words like those of Kubernetes' own reader; without `yaml: ` before them. */
export class YamlError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'YamlError'
  }
}
