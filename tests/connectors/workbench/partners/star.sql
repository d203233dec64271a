-- A ministry's warehouse: facts and dimensions, surrogate keys.
CREATE TABLE dim_gender (gender_key INTEGER PRIMARY KEY, gender_code CHAR(1), gender_name VARCHAR(30));
INSERT INTO dim_gender VALUES (1, 'F', 'Female'), (2, 'M', 'Male'), (3, 'X', 'Other'), (4, 'U', 'Unknown');
CREATE TABLE dim_country (country_key INTEGER PRIMARY KEY, iso2 CHAR(2), country_name VARCHAR(60));
INSERT INTO dim_country VALUES (1, 'FR', 'France'), (2, 'NG', 'Nigeria'), (3, 'VN', 'Viet Nam'), (4, 'AL', 'Albania');
CREATE TABLE dim_decision (decision_key INTEGER PRIMARY KEY, decision_name VARCHAR(30));
INSERT INTO dim_decision VALUES (1, 'Positive'), (2, 'Negative'), (3, 'Suspended');
CREATE TABLE dim_person (
  person_key INTEGER PRIMARY KEY, hub_subject_ref VARCHAR(64) UNIQUE, gender_key INTEGER REFERENCES dim_gender(gender_key),
  citizenship_key INTEGER REFERENCES dim_country(country_key), birth_date DATE, valid_from TIMESTAMP, valid_to TIMESTAMP, is_current BOOLEAN, batch_id INTEGER
);
CREATE TABLE fact_decision (
  decision_id INTEGER PRIMARY KEY, hub_case_ref VARCHAR(64), reasonable_grounds_key INTEGER REFERENCES dim_decision(decision_key), reasonable_grounds_date DATE,
  conclusive_grounds_key INTEGER REFERENCES dim_decision(decision_key), conclusive_grounds_date DATE, etl_run INTEGER
);
CREATE TABLE fact_recovery_period (
  id INTEGER PRIMARY KEY, hub_event_ref VARCHAR(64) UNIQUE, start_date DATE, end_date DATE, minimum_days INTEGER, load_ts TIMESTAMP
);
CREATE TABLE fact_screening (
  id INTEGER PRIMARY KEY, hub_event_ref VARCHAR(64) UNIQUE, screening_date DATE, exploitation_type VARCHAR(60), indicator_codes TEXT, exploitation_location VARCHAR(100), etl_run INTEGER
);
CREATE TABLE dim_date (date_key INTEGER PRIMARY KEY, full_date DATE, year INTEGER, month INTEGER, weekday VARCHAR(10), is_holiday BOOLEAN, quarter INTEGER, iso_week INTEGER);
