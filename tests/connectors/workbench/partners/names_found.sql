-- Names of columns as they stand in public schemas of other fields (a law office, two advice centres, a
-- register of persons, a clinic), German and Spanish. Held out: not tuned on.
CREATE TABLE mandanten (
  id INTEGER PRIMARY KEY, nrm_ref VARCHAR(64) UNIQUE, anrede VARCHAR(20), vorname VARCHAR(100), nachname VARCHAR(100), geburtsname VARCHAR(100), geburtsdatum DATE, geburtsort VARCHAR(100),
  staatsangehoerigkeit VARCHAR(50), geschlecht VARCHAR(50), email VARCHAR(255), telefon VARCHAR(50), familienstand VARCHAR(50), personalausweis_nr VARCHAR(50)
);
CREATE TABLE teilnehmer (
  id INTEGER PRIMARY KEY, nrm_ref VARCHAR(64) UNIQUE, nachname VARCHAR(255), vorname VARCHAR(255), mobiltelefon VARCHAR(50), geburtsland VARCHAR(255), erste_staatsangehoerigkeit VARCHAR(255), geschlecht VARCHAR(50), beratungsgespraech_sprache VARCHAR(255)
);
CREATE TABLE persona (
  id INTEGER PRIMARY KEY, nrm_ref VARCHAR(64) UNIQUE, per_num_doc_id VARCHAR(28), per_nombre VARCHAR(256), per_apellido VARCHAR(256), per_nacionalidad VARCHAR(10), per_sexo CHAR(1), per_fecha_nacimiento DATE
);
CREATE TABLE paciente (
  id INTEGER PRIMARY KEY, nrm_ref VARCHAR(64) UNIQUE, nombre1 VARCHAR(50), ap_paterno VARCHAR(50), ap_materno VARCHAR(50), correo_electronico VARCHAR(100), celular VARCHAR(15), genero CHAR(1), fec_nac DATE
);
