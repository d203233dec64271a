-- A shelter's case file: foreign keys, lookup tables, CHECK lists.
CREATE TABLE gender (id INTEGER PRIMARY KEY, label VARCHAR(40));
INSERT INTO gender VALUES (1, 'Female'), (2, 'Male'), (3, 'Non-binary'), (9, 'Unknown');
CREATE TABLE accommodation_type (code VARCHAR(10) PRIMARY KEY, description VARCHAR(80));
INSERT INTO accommodation_type VALUES ('SH', 'Shelter'), ('HO', 'Hotel'), ('FF', 'Foster family'), ('OT', 'Other');
CREATE TABLE residents (
  id INTEGER PRIMARY KEY,
  nrm_person_ref VARCHAR(64) UNIQUE,
  first_name VARCHAR(80), last_name VARCHAR(80), known_as VARCHAR(80),
  dob DATE, gender_id INTEGER REFERENCES gender(id),
  nationality VARCHAR(60), mobile VARCHAR(30), ok_to_call BOOLEAN, email VARCHAR(120),
  preferred_language VARCHAR(8), needs_interpreter BOOLEAN,
  passport_no VARCHAR(60), key_worker VARCHAR(80), photo BLOB,
  created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_by VARCHAR(40)
);
CREATE TABLE stays (
  id INTEGER PRIMARY KEY, nrm_case_ref VARCHAR(64), resident_id INTEGER REFERENCES residents(id),
  accommodation_type VARCHAR(10) REFERENCES accommodation_type(code),
  room_no VARCHAR(10), moved_in DATE, moved_out DATE, reason_for_leaving VARCHAR(40),
  street_address VARCHAR(200), deposit NUMERIC(8,2), rules_signed BOOLEAN
);
CREATE TABLE referrals_in (
  id INTEGER PRIMARY KEY, hub_ref VARCHAR(64), referral_no VARCHAR(40), received_by VARCHAR(60),
  services_requested TEXT, urgency VARCHAR(10) CHECK (urgency IN ('1_hour', '3_hours', '1_day', '3_days')),
  answer_by TIMESTAMP, summary TEXT, spam_score INTEGER
);
CREATE TABLE risk_assessments (
  id INTEGER PRIMARY KEY, external_case_id VARCHAR(64), resident_id INTEGER REFERENCES residents(id),
  risk_level VARCHAR(10) CHECK (risk_level IN ('low', 'medium', 'high', 'immediate')),
  threats TEXT, next_review DATE, assessor VARCHAR(80), assessed_on DATE
);
CREATE TABLE staff (id INTEGER PRIMARY KEY, first_name VARCHAR(80), last_name VARCHAR(80), phone VARCHAR(30), email VARCHAR(90));
INSERT INTO staff VALUES (1, 'CANARY', 'CANARY', 'CANARY', 'CANARY');
INSERT INTO residents (id, first_name, last_name) VALUES (1, 'CANARY', 'CANARY');
