// A part of its own, so that it can be fetched by itself.
export { Drawer } from '@mantine/core'
