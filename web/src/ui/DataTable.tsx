import type { CSSProperties, ReactNode } from 'react'

export interface Column {
  label: string
  /** Classes of the head cell: `n` for numbers, `desktop-only-cell` for what a phone leaves out. */
  className?: string
}

/** A table that scrolls in itself. The children are its tbody and tfoot. */
export function DataTable(props: { columns: Column[]; children: ReactNode; style?: CSSProperties }) {
  return (
    <div className="table-scroll" style={props.style}>
      <table className="data">
        <thead>
          <tr>
            {props.columns.map((column) => (
              <th key={column.label} className={column.className}>
                {column.label}
              </th>
            ))}
          </tr>
        </thead>
        {props.children}
      </table>
    </div>
  )
}
