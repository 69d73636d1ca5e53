// The forms that names, labels and the like may take (apimachinery util/validation). Each function
// returns what is wrong, in Kubernetes' words; nothing for a good value.

export type Rule = (value: string) => string[]

const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'
const labelForm = new RegExp(`^${label}$`)
const subdomain = `${label}(\\.${label})*`
const subdomainForm = new RegExp(`^${subdomain}$`)
const dns1035 = '[a-z]([-a-z0-9]*[a-z0-9])?'
const dns1035Form = new RegExp(`^${dns1035}$`)
const qualified = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'
const qualifiedForm = new RegExp(`^${qualified}$`)
const labelValue = `(${qualified})?`
const labelValueForm = new RegExp(`^${labelValue}$`)

/** A character takes three bytes at most. */
const longer = (value: string, most: number) =>
  value.length * 3 > most && Buffer.byteLength(value) > most ? [`must be no more than ${most} bytes`] : []

export const isDns1123Label: Rule = (value) => [
  ...longer(value, 63),
  ...(labelForm.test(value)
    ? []
    : [
        `a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '${label}')`,
      ]),
]

export const isDns1123Subdomain: Rule = (value) => [
  ...longer(value, 253),
  ...(subdomainForm.test(value)
    ? []
    : [
        `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '${subdomain}')`,
      ]),
]

const underscored = '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?'
const searchForm = new RegExp(`^${underscored}(\\.${underscored})*$`)

/** A domain to search, which may hold names such as `_tcp`. */
export const isDns1123SubdomainWithUnderscore: Rule = (value) => [
  ...longer(value, 253),
  ...(searchForm.test(value)
    ? []
    : [
        `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '${underscored}(\\.${underscored})*')`,
      ]),
]

export const isDns1035Label: Rule = (value) => [
  ...longer(value, 63),
  ...(dns1035Form.test(value)
    ? []
    : [
        `a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '${dns1035}')`,
      ]),
]

export const isQualifiedName: Rule = (value) => {
  const parts = value.split('/')
  const faults: string[] = []
  const [prefix, name] = parts.length === 2 ? parts : [undefined, value]
  if (parts.length > 2) {
    return [
      `a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '${qualified}') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ]
  }
  if (prefix === '') faults.push('prefix part must be non-empty')
  else if (prefix !== undefined) faults.push(...isDns1123Subdomain(prefix).map((m) => `prefix part ${m}`))
  if (!name) faults.push('name part must be non-empty')
  else faults.push(...longer(name, 63).map((m) => `name part ${m}`))
  if (!name || !qualifiedForm.test(name)) {
    faults.push(
      `name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '${qualified}')`,
    )
  }
  return faults
}

export const isLabelValue: Rule = (value) => [
  ...longer(value, 63),
  ...(labelValueForm.test(value)
    ? []
    : [
        `a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '${labelValue}')`,
      ]),
]

/** The text without as many of one character as it ends in. */
export function withoutEnd(text: string, end: string): string {
  let length = text.length
  while (length > 0 && text[length - 1] === end) length -= 1
  return text.slice(0, length)
}

/** The name of a container or service port (IANA service name). */
export const isPortName: Rule = (value) => {
  const faults: string[] = []
  if (value.length > 15) faults.push('must be no more than 15 characters')
  if (!/^[-a-z0-9]+$/.test(value)) faults.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)')
  if (!/[a-z]/.test(value)) faults.push('must contain at least one letter (a-z)')
  if (value.includes('--')) faults.push('must not contain consecutive hyphens')
  if (value.startsWith('-') || value.endsWith('-')) faults.push('must not begin or end with a hyphen')
  return faults
}

export const isEnvName: Rule = (value) =>
  /^[ -<>-~]+$/.test(value) ? [] : ["a valid environment variable name must consist only of printable ASCII characters other than '='"]

/** A key of a ConfigMap or Secret. */
export const isConfigKey: Rule = (value) => {
  const faults = longer(value, 253)
  if (!/^[-._a-zA-Z0-9]+$/.test(value)) {
    faults.push(
      "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
    )
  }
  if (value === '.' || value === '..') faults.push(`must not be '${value}'`)
  else if (value.startsWith('..')) faults.push("must not start with '..'")
  return faults
}

const ipv4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)$/
export const isIPv4 = (value: string): boolean => ipv4.test(value)
/** Either family; the exact text form of an IPv6 address is not judged. */
export const isIP: Rule = (value) =>
  isIPv4(value) || (value.includes(':') && URL.canParse(`http://[${value}]/`))
    ? []
    : ['must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)']
