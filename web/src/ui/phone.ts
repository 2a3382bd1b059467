import { useMediaQuery } from '@mantine/hooks'

/** True below the width where pages take their phone form. */
export const usePhone = () =>
  useMediaQuery('(max-width: 760px)', window.matchMedia('(max-width: 760px)').matches, {
    getInitialValueInEffect: false,
  }) ?? false

/** True where a finger is the pointer: Enter then makes a new line. */
export const isTouch = () => window.matchMedia('(pointer: coarse)').matches
