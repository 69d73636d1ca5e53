// `format.dns1123Label().validate(x)`: the names of Kubernetes, by name. What is wrong, or none.

import { type Environment, Optional } from '@marcbachmann/cel-js'
import { isDns1035Label, isDns1123Label, isDns1123Subdomain, isLabelValue, isQualifiedName, type Rule } from '#api/kinds/rules/names.ts'
import { isFormatted } from '#api/schema/crd/formats.ts'

class Formats {
  readonly namespace = 'format'
}
class Format {
  readonly name: string
  readonly validate: Rule
  constructor(name: string, validate: Rule) {
    this.name = name
    this.validate = validate
  }
}

const named =
  (format: string, what: string): Rule =>
  (text) =>
    isFormatted(format, text) ? [] : [`invalid ${what}`]
/** Prefixes may end in a dash: something is put behind them. */
const prefix =
  (rule: Rule): Rule =>
  (text) =>
    rule(text.replace(/-$/, 'a'))

const rules: Readonly<Record<string, Rule>> = {
  dns1123Label: isDns1123Label,
  dns1123Subdomain: isDns1123Subdomain,
  dns1035Label: isDns1035Label,
  dns1123LabelPrefix: prefix(isDns1123Label),
  dns1123SubdomainPrefix: prefix(isDns1123Subdomain),
  dns1035LabelPrefix: prefix(isDns1035Label),
  qualifiedName: isQualifiedName,
  labelValue: isLabelValue,
  uri: named('uri', 'URI'),
  uuid: named('uuid', 'UUID'),
  byte: named('byte', 'base64'),
  date: named('date', 'date'),
  datetime: named('date-time', 'datetime'),
}

export function formats(environment: Environment): void {
  const made = new Map(Object.entries(rules).map(([name, rule]) => [name, new Format(name, rule)]))
  environment.registerType('Formats', Formats).registerType('Format', Format).registerConstant('format', 'Formats', new Formats())
  for (const [name, format] of made) environment.registerFunction(`Formats.${name}(): Format`, () => format)
  environment
    .registerFunction('Formats.named(string): optional<Format>', (_: Formats, name: string) => Optional.of(made.get(name)))
    .registerFunction('Format.validate(string): optional<list<string>>', (format: Format, text: string) => {
      const wrong = format.validate(text)
      return wrong.length ? Optional.of(wrong) : Optional.none()
    })
}
