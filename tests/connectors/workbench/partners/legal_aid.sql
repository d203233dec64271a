-- A legal aid office's matter system. Held out: written before it was measured, not tuned on.
CREATE TABLE matter_status (id INTEGER PRIMARY KEY, name VARCHAR(30));
INSERT INTO matter_status VALUES (1, 'Open'), (2, 'Closed');
CREATE TABLE client (
  client_no INTEGER PRIMARY KEY, external_reference VARCHAR(64), given_names VARCHAR(80), family_name VARCHAR(80), birthdate DATE, gender VARCHAR(10) CHECK (gender IN ('female', 'male', 'other', 'unknown')),
  citizenship VARCHAR(40), home_phone VARCHAR(30), e_mail VARCHAR(80), mailing_address VARCHAR(200), primary_language VARCHAR(30), interpreter_req BOOLEAN, eye_color VARCHAR(10), conflict_checked BOOLEAN
);
CREATE TABLE matter (
  matter_id INTEGER PRIMARY KEY, nrm_case_id VARCHAR(64), status_id INTEGER REFERENCES matter_status(id), opened_date DATE, closed_date DATE, reason_closed VARCHAR(60), fee_earner VARCHAR(60), billing_code VARCHAR(12)
);
CREATE TABLE asylum_claims (
  id INTEGER PRIMARY KEY, nrm_event_id VARCHAR(64) UNIQUE, claim_date DATE, claim_status VARCHAR(30), home_office_ref VARCHAR(30), caseowner VARCHAR(60)
);
CREATE TABLE residence_permits (
  id INTEGER PRIMARY KEY, nrm_event_id VARCHAR(64) UNIQUE, permit_outcome VARCHAR(20), permit_ground VARCHAR(40), expiry_date DATE, card_colour VARCHAR(10)
);
CREATE TABLE compensation_claim (
  id INTEGER PRIMARY KEY, nrm_event_id VARCHAR(64) UNIQUE, claim_reference VARCHAR(40), defendant_employer VARCHAR(100), amount_claimed NUMERIC(12,2), ccy CHAR(3), tribunal VARCHAR(60)
);
CREATE TABLE timesheet (id INTEGER PRIMARY KEY, matter_id INTEGER, work_date DATE, minutes INTEGER, narrative TEXT, amount NUMERIC(10,2));
