//! What the catalog says of the extension's objects: that their SQL is what the library was compiled for, that they are marked
//! truthfully, and that nobody may call by default what spends money or sends data out.

use std::{collections::BTreeMap, fs, path::PathBuf};

use support::{Db, Session};

/// Functions and procedures of the extension in this language, each as `name(arguments) result`.
fn signatures(session: &mut Session, language: &str) -> BTreeMap<String, String> {
    let query = format!(
        "SELECT p.proname::text, '(' || concat_ws(', ', VARIADIC ARRAY(
                    SELECT coalesce(p.proargnames[i], '') || ' ' || format_type(type, NULL)
                    FROM unnest(p.proargtypes) WITH ORDINALITY AS a (type, i))) || ')'
                || CASE WHEN p.prokind = 'p' OR p.prorettype = 'void'::regtype THEN '' WHEN 'o' = ANY (p.proargmodes) THEN ' TABLE(' || array_to_string(ARRAY(
                       SELECT p.proargnames[i] || ' ' || format_type(p.proallargtypes[i], NULL)
                       FROM generate_subscripts(p.proallargtypes, 1) i WHERE p.proargmodes[i] = 'o'), ', ') || ')'
                   ELSE ' ' || pg_get_function_result(p.oid) END
         FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
         JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'embedding_backfill'
         JOIN pg_language l ON l.oid = p.prolang WHERE l.lanname = '{language}'"
    );
    let rows = session.query(&query, &[]).unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// The same out of the Rust sources.
fn rust_signatures() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut paths = vec![PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../src/pg"
    ))];
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(
                fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        let source = fs::read_to_string(path).unwrap();
        for function in source.split("#[pg_extern(").skip(1) {
            let function = &function[function.find("\nfn ").expect("a function follows") + 4..];
            let head = &function[..function.find(" {\n").expect("it has a body")];
            let head = head.split_whitespace().collect::<Vec<_>>().join(" ");
            let (name, rest) = head.split_once('(').unwrap();
            let (arguments, result) = rest.split_once(')').unwrap();
            found.insert(
                name.to_owned(),
                format!("({}){}", sql_arguments(arguments), sql_result(result)),
            );
        }
    }
    found
}

fn sql_arguments(arguments: &str) -> String {
    let arguments = arguments
        .split(", ")
        .map(|argument| argument.trim_end_matches(',').trim())
        // The call as such is the server's business.
        .filter(|argument| !argument.is_empty() && !argument.ends_with("FunctionCallInfo"));
    let arguments = arguments.map(|argument| {
        let (name, of) = argument.split_once(": ").unwrap();
        // None of them is STRICT, so each may be NULL.
        let of = of
            .strip_prefix("Option<")
            .and_then(|of| of.strip_suffix('>'));
        let of = of.unwrap_or_else(|| panic!("{argument} can't be NULL"));
        format!("{name} {}", sql_type(of))
    });
    arguments.collect::<Vec<_>>().join(", ")
}

fn sql_result(result: &str) -> String {
    let inner = result
        .trim()
        .trim_start_matches("-> ")
        .trim_start_matches("Result<");
    let inner = inner
        .trim()
        .trim_end_matches("ErrorReport>")
        .trim()
        .trim_end_matches("ErrorReport, >");
    let inner = inner.trim().trim_end_matches(',').trim();
    let columns: Vec<&str> = inner
        .split("name!(")
        .skip(1)
        .map(|c| &c[..c.find(')').unwrap()])
        .collect();
    if !columns.is_empty() {
        let columns = columns.iter().map(|column| {
            let (name, of) = column.split_once(", ").unwrap();
            format!("{name} {}", sql_type(bare(of)))
        });
        return format!(" TABLE({})", columns.collect::<Vec<_>>().join(", "));
    }
    match inner {
        "()" | "" => String::new(),
        of if of.starts_with("SetOfIterator<'static, ") => {
            let of = of.trim_start_matches("SetOfIterator<'static, ");
            format!(" SETOF {}", sql_type(of.strip_suffix('>').unwrap()))
        }
        of => format!(" {}", sql_type(bare(of))),
    }
}

fn bare(of: &str) -> &str {
    match of.strip_prefix("Option<") {
        Some(of) => of.strip_suffix('>').unwrap(),
        None => of,
    }
}

fn sql_type(of: &str) -> &str {
    match of {
        "Oid" => "regclass",
        "&CStr" => "name",
        "String" | "&'static str" => "text",
        "i32" => "integer",
        "i64" => "bigint",
        "bool" => "boolean",
        "Interval" => "interval",
        "AnyNumeric" => "numeric",
        "Vec<Option<String>>" => "text[]",
        // In a vector's form: see `vector_type::stored`.
        "Vec<u8>" => "vector",
        other => panic!("no SQL type is known for {other}"),
    }
}

// A wrong one is a fault in memory, and nothing else would find it.
#[test]
fn each_c_function_is_declared_as_it_was_compiled() {
    let db = Db::fresh();
    let declared = signatures(&mut db.session(), "c");
    let compiled = rust_signatures();
    assert!(compiled.len() >= 12, "{compiled:?}");
    assert_eq!(declared, compiled);
}

// What the library links to is the function's own symbol.
#[test]
fn each_c_function_names_its_own_symbol() {
    let db = Db::fresh();
    let wrong = "SELECT coalesce(string_agg(proname || ' ' || prosrc, ', '), '') FROM pg_proc
                 WHERE probin LIKE '%embedding_backfill%' AND prosrc <> proname || '_wrapper'";
    assert_eq!(db.session().text(wrong), "");
    let strict =
        "SELECT count(*) FROM pg_proc WHERE probin LIKE '%embedding_backfill%' AND proisstrict";
    assert_eq!(db.session().number(strict), 0);
}

/// `name: volatility parallel` of what users call, sorted.
#[test]
fn volatility_and_parallel_safety_are_truthful() {
    let db = Db::fresh();
    let marks = "SELECT string_agg(format('%s %s%s', proname, provolatile, proparallel), E'\\n' ORDER BY proname)
                 FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
                 JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'embedding_backfill'
                 WHERE p.pronamespace = 'public'::regnamespace AND prokind = 'f'";
    let marks = db.session().text(marks);
    let expected = [
        "embed_keep_fresh vu",
        "embed_keep_fresh_off vu",
        "embed_missing vu",
        "embed_plan vu",
        // The same text has the same vector within a statement, and its answer is remembered in one process.
        "embed_query sr",
        "embed_retry_rejected vu",
        "embed_stop vu",
        "embed_text sr",
        "embed_texts sr",
        "embed_verify vu",
    ];
    assert_eq!(marks.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn what_spends_or_sends_is_not_everybodys() {
    let db = Db::fresh();
    let role = db.role("anybody");
    let mut session = db.session_as(&role);
    let may = "SELECT string_agg(p.proname, ' ' ORDER BY p.proname) FROM pg_proc p WHERE pronamespace = 'public'::regnamespace
               AND has_function_privilege(p.oid, 'EXECUTE') = $1 AND proname ~ '^(embed|mirror)_'";
    let names = |session: &mut Session, may_call: bool| -> String {
        session.query_one(may, &[&may_call]).unwrap().get(0)
    };
    assert_eq!(
        names(&mut session, false),
        "embed_all_missing embed_missing embed_query embed_text embed_texts embed_verify mirror_to_chroma"
    );
    assert_eq!(
        names(&mut session, true),
        "embed_keep_fresh embed_keep_fresh_off embed_plan embed_retry_rejected embed_stop"
    );
    let tables = "SELECT coalesce(string_agg(relname, ' '), '') FROM pg_class
                  WHERE relnamespace = 'embedding_backfill'::regnamespace AND relkind IN ('r', 'S')
                    AND (CASE relkind WHEN 'r' THEN has_table_privilege(oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')
                         ELSE has_sequence_privilege(oid, 'USAGE, SELECT, UPDATE') END)";
    assert_eq!(session.text(tables), "");
}

// A name that is not qualified could be somebody else's function or operator.
#[test]
fn functions_that_are_not_the_callers_pin_their_search_path() {
    let db = Db::fresh();
    let loose = "SELECT coalesce(string_agg(p.proname, ' ' ORDER BY p.proname), '')
                 FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
                 JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'embedding_backfill'
                 JOIN pg_language l ON l.oid = p.prolang
                 WHERE l.lanname IN ('plpgsql', 'sql') AND proconfig IS NULL";
    // Those that commit can't; every name in them is qualified.
    assert_eq!(
        db.session().text(loose),
        "embed_all_missing mirror_to_chroma"
    );
    let definer = "SELECT count(*) FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e'
                   JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'embedding_backfill' WHERE prosecdef";
    assert_eq!(db.session().number(definer), 0);
}

#[test]
fn each_view_explains_itself_and_psql_shows_it() {
    let db = Db::fresh();
    let said = db.psql(&["-c", r"\df+ embed_*", "-c", r"\dv+ embedding_backfill.*"]);
    assert!(said.ok, "{said:?}");
    for words in ["the dry run", "the proof", "one row a run"] {
        assert!(said.stdout.contains(words), "{words}");
    }
}
