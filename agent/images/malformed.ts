/** Content that is not what it claims to be: a wrong digest, a broken or hostile archive, an unknown manifest. */
export class Malformed extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'Malformed'
  }
}

/** The `code` of a system or library error. */
export const codeOf = (error: unknown): string => {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : ''
}
