-- A caller can write as many refusals as it likes; among them an operator still finds, within the time that a statement
-- has, what was permitted.
CREATE INDEX audit_of_permits ON audit (id) WHERE verdict <> 'refused';
