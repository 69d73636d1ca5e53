// Regular expressions that users write, in the syntax of Go's: matched in linear time, whatever they are.
// The engine is loaded when the first pattern is met.

export type Pattern = { test(text: string): boolean }

export type Patterns = {
  /** The pattern, or why it is none. */
  of(source: string): Pattern | string
}

/** Compiling is dear, and few patterns come again and again. */
const most = 1000
let opened: Promise<Patterns> | undefined

export function openPatterns(): Promise<Patterns> {
  opened ??= load()
  return opened
}

async function load(): Promise<Patterns> {
  const { RE2JS, RE2JSException } = await import('@bufbuild/re2')
  const compiled = new Map<string, Pattern | string>()
  const compile = (source: string): Pattern | string => {
    try {
      const program = new RE2JS(source)
      return { test: (text) => program.test(text) }
    } catch (error) {
      if (error instanceof RE2JSException || error instanceof RangeError) return error.message
      throw error
    }
  }
  return {
    of(source) {
      const known = compiled.get(source)
      if (known !== undefined) return known
      const made = compile(source)
      if (compiled.size >= most) compiled.delete(compiled.keys().next().value as string)
      compiled.set(source, made)
      return made
    },
  }
}
