/** A volume could not be made ready; the message is what a FailedMount event says of it. */
export class VolumeError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'VolumeError'
  }
}
