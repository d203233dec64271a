-- A labour inspectorate: inspections and wage claims. What its role is never given is no answer.
CREATE TABLE inspections (
  inspection_id INTEGER PRIMARY KEY, hub_event_ref VARCHAR(64) UNIQUE, inspector VARCHAR(60), inspected_at TIMESTAMP,
  employer_name VARCHAR(120), vat_number VARCHAR(20), work_site VARCHAR(200), trafficking_indicators TEXT,
  type_of_exploitation VARCHAR(120), workers_present INTEGER, fine_imposed NUMERIC(10,2)
);
CREATE TABLE wage_claims (
  claim_id INTEGER PRIMARY KEY, external_ref VARCHAR(64), claim_number VARCHAR(40), company VARCHAR(120),
  amount_owed NUMERIC(12,2), currency CHAR(3), date_of_claim DATE, lawyer VARCHAR(60)
);
CREATE TABLE workers (
  worker_id INTEGER PRIMARY KEY, nrm_ref VARCHAR(64), forename VARCHAR(60), surname VARCHAR(60), date_of_birth DATE,
  sex CHAR(1) CHECK (sex IN ('F', 'M', 'X', 'U')), country_of_nationality CHAR(2), job_title VARCHAR(60), hourly_wage NUMERIC(6,2), shift_pattern VARCHAR(20)
);
CREATE TABLE companies (id INTEGER PRIMARY KEY, company_name VARCHAR(120), address VARCHAR(200), phone VARCHAR(30), sector VARCHAR(30), employees INTEGER);
