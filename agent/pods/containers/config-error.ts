/** A container cannot be made from what its pod says: `CreateContainerConfigError` to its user, tried again as things change. */
export class ConfigError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ConfigError'
  }
}
