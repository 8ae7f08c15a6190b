-- All that the catalog says of one extension and its members, as (what, fact, value), with names for OIDs. $1 is its name.
WITH extension AS (
    SELECT * FROM pg_extension WHERE extname = $1::text
), member AS (
    SELECT d.classid, d.objid, d.classid::regclass::text AS catalog, format('%s %s', i.type, i.identity) AS what
    FROM extension AS e
    JOIN pg_depend AS d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e',
    LATERAL pg_identify_object(d.classid, d.objid, 0) AS i
), relation AS (
    SELECT m.what, c.* FROM member AS m JOIN pg_class AS c ON m.catalog = 'pg_class' AND c.oid = m.objid
), rights (what, classid, objid, column_number, now, none) AS (
    SELECT what, 'pg_class'::regclass, oid, 0, relacl, acldefault(CASE relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, relowner)
    FROM relation
    UNION ALL SELECT what, classid, objid, 0, proacl, acldefault('f', proowner)
              FROM member JOIN pg_proc AS p ON catalog = 'pg_proc' AND p.oid = objid
    UNION ALL SELECT what, classid, objid, 0, nspacl, acldefault('n', nspowner)
              FROM member JOIN pg_namespace AS n ON catalog = 'pg_namespace' AND n.oid = objid
    UNION ALL SELECT format('%s, column %I', what, attname), 'pg_class'::regclass, r.oid, attnum, attacl,
                     acldefault('c', relowner)
              FROM relation AS r JOIN pg_attribute AS a ON a.attrelid = r.oid AND NOT attisdropped
)
SELECT 'extension' AS what, 'schema' AS fact, extnamespace::regnamespace::text AS value FROM extension
UNION ALL SELECT 'extension', 'owner', extowner::regrole::text FROM extension
UNION ALL SELECT 'extension', 'relocatable', extrelocatable::text FROM extension
UNION ALL SELECT 'extension', 'comment', obj_description(oid, 'pg_extension') FROM extension
UNION ALL SELECT 'extension', format('dumps %s', extconfig[i]::regclass), extcondition[i]
          FROM extension, generate_subscripts(extconfig, 1) AS i

UNION ALL SELECT what, 'is a member', 'yes' FROM member
-- Nothing is said of members of other kinds yet, and what is not compared would look equal.
UNION ALL SELECT what, 'unknown kind', catalog FROM member WHERE catalog NOT IN ('pg_proc', 'pg_class', 'pg_namespace', 'pg_type')
-- But for the row types of tables and views, and arrays of them.
UNION ALL SELECT what, 'unknown kind', t.typname FROM member JOIN pg_type AS t ON catalog = 'pg_type' AND t.oid = objid
          LEFT JOIN pg_type AS element ON element.oid = t.typelem
          WHERE NOT EXISTS (SELECT FROM relation AS r WHERE r.oid IN (t.typrelid, element.typrelid))
UNION ALL SELECT what, 'unknown kind', relkind::text FROM relation WHERE relkind NOT IN ('r', 'v', 'S')
UNION ALL SELECT what, 'comment', obj_description(objid, catalog::name) FROM member
UNION ALL SELECT what, 'rights', (SELECT string_agg(a::text, ', ' ORDER BY a::text) FROM unnest(coalesce(now, none)) AS a)
          FROM rights
-- Those that are the script's: pg_dump takes others for the user's.
UNION ALL SELECT what, 'rights at first',
                 (SELECT string_agg(a::text, ', ' ORDER BY a::text) FROM unnest(coalesce(initprivs, none)) AS a)
          FROM rights AS r LEFT JOIN pg_init_privs AS p
          ON p.classoid = r.classid AND p.objoid = r.objid AND p.objsubid = column_number

UNION ALL SELECT what, 'definition', pg_get_functiondef(objid) FROM member
          JOIN pg_proc AS p ON catalog = 'pg_proc' AND p.oid = objid
UNION ALL SELECT what, 'owner', proowner::regrole::text FROM member JOIN pg_proc AS p ON catalog = 'pg_proc' AND p.oid = objid
UNION ALL SELECT what, 'owner', nspowner::regrole::text FROM member
          JOIN pg_namespace AS n ON catalog = 'pg_namespace' AND n.oid = objid

UNION ALL SELECT what, 'owner', relowner::regrole::text FROM relation
UNION ALL SELECT what, 'storage', format('%s %s %s %s', relpersistence, reloptions, relrowsecurity, relforcerowsecurity)
          FROM relation
UNION ALL SELECT what, 'definition', pg_get_viewdef(oid) FROM relation WHERE relkind = 'v'
UNION ALL SELECT what, 'sequence',
                 concat_ws(' ', seqtypid::regtype, seqstart, seqincrement, seqmin, seqmax, seqcache, seqcycle)
          FROM relation AS r JOIN pg_sequence AS s ON s.seqrelid = r.oid
-- Their order matters to SELECT *, the gaps that dropped ones leave do not, nor does pg_attver, by which some minor releases
-- tell columns from others that were there before.
UNION ALL SELECT what, format('column %s', row_number() OVER (PARTITION BY r.oid ORDER BY attnum)),
                 concat_ws(' ', quote_ident(attname), format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated,
                           attstorage, attcompression, attcollation::regcollation,
                           (SELECT array_agg(o ORDER BY o) FROM unnest(attoptions) AS o WHERE o NOT LIKE 'pg\_attver=%'),
                           pg_get_expr(adbin, adrelid), col_description(r.oid, attnum))
          FROM relation AS r JOIN pg_attribute AS a ON a.attrelid = r.oid AND attnum > 0 AND NOT attisdropped
          LEFT JOIN pg_attrdef ON adrelid = r.oid AND adnum = attnum
UNION ALL SELECT what, format('constraint %I', conname), concat_ws(' ', pg_get_constraintdef(c.oid), obj_description(c.oid, 'pg_constraint'))
          FROM relation AS r JOIN pg_constraint AS c ON c.conrelid = r.oid
UNION ALL SELECT what, format('index %s', indexrelid::regclass),
                 concat_ws(' ', pg_get_indexdef(indexrelid), indisvalid, obj_description(indexrelid, 'pg_class'))
          FROM relation AS r JOIN pg_index AS i ON i.indrelid = r.oid
UNION ALL SELECT what, format('trigger %I', tgname), concat_ws(' ', pg_get_triggerdef(t.oid), tgenabled)
          FROM relation AS r JOIN pg_trigger AS t ON t.tgrelid = r.oid AND NOT tgisinternal
UNION ALL SELECT what, format('policy %I', polname),
                 concat_ws(' ', polcmd, polpermissive, polroles::regrole[], pg_get_expr(polqual, polrelid),
                           pg_get_expr(polwithcheck, polrelid))
          FROM relation AS r JOIN pg_policy AS p ON p.polrelid = r.oid
