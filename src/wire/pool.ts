export interface Pool {
  readonly open: number
  readonly idle: number
}
