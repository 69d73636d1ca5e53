// Label and field selectors, as queries and as objects of the API.

export { fieldMatcher } from './field.ts'
export { labelMatcher, selectorMatcher } from './label.ts'
