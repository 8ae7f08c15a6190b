//! How a column is written in a collection: the same in each session, whatever its time zone and formats are. A job
//! and a person would else make different ids of the same row.

/// SQL of type text, where it is not simply what a cast gives.
pub fn of(sql: &str, builtin: Option<&str>) -> Option<String> {
    let iso = |time: &str| {
        format!("(pg_catalog.to_jsonb({time}) OPERATOR(pg_catalog.#>>) '{{}}'::pg_catalog.text[])")
    };
    Some(match builtin? {
        "date" => iso(&format!("{sql}::pg_catalog.date")),
        "timestamp" => iso(&format!("{sql}::pg_catalog.timestamp")),
        "timestamptz" => {
            let time = format!("{sql}::pg_catalog.timestamptz");
            let utc = iso(&format!(
                "pg_catalog.timezone('UTC'::pg_catalog.text, {time})"
            ));
            format!(
                "({utc} OPERATOR(pg_catalog.||)
                  CASE WHEN pg_catalog.isfinite({time}) THEN '+00:00'::pg_catalog.text ELSE '' END)"
            )
        }
        "bytea" => format!(
            "(pg_catalog.chr(92) OPERATOR(pg_catalog.||) 'x'::pg_catalog.text
              OPERATOR(pg_catalog.||) pg_catalog.encode({sql}::pg_catalog.bytea, 'hex'))"
        ),
        _ => return None,
    })
}
