-- Who may do what in the database `acesteps`: a schema each, roles of their own, no rights on the other's.
-- Run by psql as superuser at every start; it changes nothing that is right, and takes over changed passwords.
\set gateway_password `cat /run/acesteps/gateway.password`
\set signer_password `cat /run/acesteps/signer.password`
\set owner_password `cat /run/acesteps/signer-owner.password`

SELECT format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE', name)
FROM unnest(ARRAY['acesteps_gateway', 'acesteps_signer', 'acesteps_signer_owner']) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec

ALTER ROLE acesteps_gateway SET search_path = gateway;
ALTER ROLE acesteps_signer SET search_path = signer;
ALTER ROLE acesteps_signer_owner SET search_path = signer;

ALTER ROLE acesteps_gateway PASSWORD :'gateway_password';
ALTER ROLE acesteps_signer PASSWORD :'signer_password';
ALTER ROLE acesteps_signer_owner PASSWORD :'owner_password';

REVOKE ALL ON DATABASE acesteps FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE acesteps TO acesteps_gateway, acesteps_signer, acesteps_signer_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE SCHEMA IF NOT EXISTS gateway AUTHORIZATION acesteps_gateway;
CREATE SCHEMA IF NOT EXISTS signer AUTHORIZATION acesteps_signer_owner;
