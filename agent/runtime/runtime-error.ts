// What a runtime refuses.

/** A container could not be created or started; `reason` is what kubectl shows as its state. */
export class RuntimeError extends Error {
  readonly reason: 'CreateContainerError' | 'RunContainerError' | 'CreateContainerConfigError' | 'StartError'
  constructor(reason: RuntimeError['reason'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'RuntimeError'
    this.reason = reason
  }
}
