/** How many of something, in words: `1 entry`, `2 entries`. Pure. */
export const counted = (count: number, one: string, many = one.replace(/y$/, 'ie').concat('s')): string =>
  `${count} ${count === 1 ? one : many}`
