-- In schema evil: for each function and operator of the catalog and of pgvector one of the same name and arguments that fails.
CREATE SCHEMA evil;
SET check_function_bodies = off;
DO $twins$
DECLARE
    twin record;
    made integer := 0;
BEGIN
    -- What PL/pgSQL can take and give; what it can't has no twin in this language, and none is unqualified in our SQL.
    FOR twin IN
        SELECT p.oid, p.proname, p.prorettype,
               (SELECT coalesce(string_agg(format_type(a, NULL), ', ' ORDER BY n), '')
                FROM unnest(p.proargtypes) WITH ORDINALITY AS args (a, n)) AS arguments
        FROM pg_proc p
        WHERE (p.pronamespace = 'pg_catalog'::regnamespace
               OR EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'vector'
                          WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'))
          AND p.prokind = 'f' AND NOT p.proretset
          AND NOT EXISTS (SELECT FROM pg_type t
                          WHERE t.typtype = 'p' AND (t.oid = ANY (p.proargtypes::oid[]) OR t.oid = p.prorettype))
    LOOP
        EXECUTE format('CREATE FUNCTION evil.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', twin.proname, twin.arguments,
            format_type(twin.prorettype, NULL), format('BEGIN RAISE EXCEPTION ''evil twin of %s(%s)''; END',
                twin.proname, replace(twin.arguments, '''', '')));
        made := made + 1;
    END LOOP;
    FOR twin IN
        SELECT o.oid, o.oprname, o.oprleft, o.oprright, o.oprresult, o.oprkind
        FROM pg_operator o
        WHERE (o.oprnamespace = 'pg_catalog'::regnamespace OR o.oprname IN ('<->', '<#>', '<=>'))
          AND o.oprcode <> 0
          AND NOT EXISTS (SELECT FROM pg_type t WHERE t.typtype = 'p' AND t.oid IN (o.oprleft, o.oprright, o.oprresult))
    LOOP
        EXECUTE format('CREATE FUNCTION evil."operator %s"(%s) RETURNS %s LANGUAGE plpgsql AS %L', twin.oid,
            concat_ws(', ', format_type(nullif(twin.oprleft, 0), NULL), format_type(twin.oprright, NULL)),
            format_type(twin.oprresult, NULL),
            format('BEGIN RAISE EXCEPTION ''evil twin of operator %s''; END', replace(twin.oprname, '%', '%%')));
        EXECUTE format('CREATE OPERATOR evil.%s (FUNCTION = evil."operator %s", %s RIGHTARG = %s)', twin.oprname, twin.oid,
            CASE WHEN twin.oprkind = 'b' THEN format('LEFTARG = %s,', format_type(twin.oprleft, NULL)) END,
            format_type(twin.oprright, NULL));
        made := made + 1;
    END LOOP;
    IF made < 2000 THEN
        RAISE EXCEPTION 'only % twins', made;
    END IF;
END
$twins$;
CREATE FUNCTION evil.format(text, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil twin of format'; END $$;
CREATE FUNCTION evil.concat_ws(text, text, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil twin of concat_ws'; END $$;
CREATE FUNCTION evil.step(bigint, text, text) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil twin of an aggregate'; END $$;
CREATE FUNCTION evil.step(bigint, text) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil twin of an aggregate'; END $$;
CREATE FUNCTION evil.step(bigint, bigint) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil twin of an aggregate'; END $$;
CREATE FUNCTION evil.step(text, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil twin of an aggregate'; END $$;
CREATE FUNCTION evil.step(bigint) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil twin of an aggregate'; END $$;
CREATE AGGREGATE evil.count(*) (SFUNC = evil.step, STYPE = bigint, INITCOND = '0');
CREATE AGGREGATE evil.count(text) (SFUNC = evil.step, STYPE = bigint, INITCOND = '0');
CREATE AGGREGATE evil.sum(bigint) (SFUNC = evil.step, STYPE = bigint, INITCOND = '0');
CREATE AGGREGATE evil.max(text) (SFUNC = evil.step, STYPE = text, INITCOND = '');
CREATE AGGREGATE evil.string_agg(text, text) (SFUNC = evil.step, STYPE = bigint, INITCOND = '0');
CREATE DOMAIN evil.text AS pg_catalog.bool;
CREATE DOMAIN evil.regclass AS pg_catalog.bool;
CREATE DOMAIN evil.oid AS pg_catalog.bool;
CREATE DOMAIN evil.tid AS pg_catalog.bool;
CREATE DOMAIN evil.int8 AS pg_catalog.bool;
CREATE DOMAIN evil.jsonb AS pg_catalog.bool;
CREATE DOMAIN evil.vector AS pg_catalog.bool;
