-- Jugendamt: Fachverfahren Menschenhandel
CREATE TABLE k_geschlecht (id INTEGER PRIMARY KEY, bezeichnung VARCHAR(30) NOT NULL);
INSERT INTO k_geschlecht (bezeichnung) VALUES ('weiblich'),('männlich'),('divers'),('unbekannt');
CREATE TABLE k_ausbeutung (id INTEGER PRIMARY KEY, bezeichnung VARCHAR(60) NOT NULL);
INSERT INTO k_ausbeutung (bezeichnung) VALUES ('sexuelle Ausbeutung'),('Arbeitsausbeutung'),('Bettelei'),('häusliche Dienstbarkeit'),('Zwangsheirat'),('Organentnahme'),('strafbare Handlungen');
CREATE TABLE k_risikostufe (kuerzel CHAR(1) PRIMARY KEY, bezeichnung VARCHAR(30) NOT NULL);
INSERT INTO k_risikostufe VALUES ('N','niedrig'),('M','mittel'),('H','hoch'),('S','sehr hoch');
CREATE TABLE mitarbeiter (id INTEGER PRIMARY KEY, vorname VARCHAR(60) NOT NULL, nachname VARCHAR(60) NOT NULL);
INSERT INTO mitarbeiter (vorname, nachname) VALUES ('Eva','Muster');
CREATE TABLE faelle (
  id INTEGER PRIMARY KEY, aktenzeichen VARCHAR(30) UNIQUE, nrm_fall_ref VARCHAR(64) UNIQUE,
  eroeffnet_am DATE, zugangsweg VARCHAR(30), altersstatus VARCHAR(20), geschlossen_am DATE, abschlussgrund VARCHAR(60),
  sachbearbeiter_id INT, geaendert_am TIMESTAMP NULL, FOREIGN KEY (sachbearbeiter_id) REFERENCES mitarbeiter(id)
);
CREATE TABLE klienten (
  id INTEGER PRIMARY KEY, nrm_person_ref VARCHAR(64) UNIQUE,
  vorname VARCHAR(60), nachname VARCHAR(60) NOT NULL DEFAULT '', geburtsname VARCHAR(60), aliasname VARCHAR(60), geburtsdatum DATE, geburtsort VARCHAR(60), staatsangehoerigkeit VARCHAR(40),
  geschlecht_id INT, reisepassnummer VARCHAR(30), telefonnummer VARCHAR(30), anruf_moeglich BOOLEAN, email VARCHAR(80), postanschrift VARCHAR(150), muttersprache VARCHAR(30), dolmetscher_erforderlich BOOLEAN,
  FOREIGN KEY (geschlecht_id) REFERENCES k_geschlecht(id)
);
CREATE TABLE risikoeinschaetzungen (
  id INTEGER PRIMARY KEY, nrm_ereignis_ref VARCHAR(64) UNIQUE, eingeschaetzt_am DATE, risikostufe CHAR(1), bedrohungen TEXT, naechste_ueberpruefung DATE,
  FOREIGN KEY (risikostufe) REFERENCES k_risikostufe(kuerzel)
);
CREATE TABLE befragungen (
  id INTEGER PRIMARY KEY, nrm_ereignis_ref VARCHAR(64) UNIQUE, befragt_am DATE, anzeichen TEXT, ausbeutungsform_id INT, kontrollmittel TEXT, ausbeutungsort VARCHAR(200), arbeitgeber VARCHAR(120), schilderung TEXT,
  FOREIGN KEY (ausbeutungsform_id) REFERENCES k_ausbeutung(id)
);
CREATE TABLE ueberweisungen (
  id INTEGER PRIMARY KEY, nrm_ereignis_ref VARCHAR(64) UNIQUE, ueberweisungsnummer VARCHAR(40), ueberwiesen_am DATETIME, gewuenschte_leistungen TEXT, dringlichkeit VARCHAR(20), antwort_bis DATETIME, zusammenfassung TEXT
);
CREATE TABLE unterbringungen (
  id INTEGER PRIMARY KEY, nrm_ereignis_ref VARCHAR(64) UNIQUE, unterkunftsart VARCHAR(30), region VARCHAR(40), einzug_am DATE, anschrift VARCHAR(150), zimmer VARCHAR(10)
);
CREATE TABLE bedarfserhebungen (
  id INTEGER PRIMARY KEY, nrm_ereignis_ref VARCHAR(64) UNIQUE, erhoben_am DATE, bedarfsbereiche TEXT, gesundheit TEXT, behinderung TEXT, anzahl_kinder INT
);
CREATE TABLE vormundschaften (
  id INTEGER PRIMARY KEY, nrm_ereignis_ref VARCHAR(64) UNIQUE, vormund VARCHAR(60), beginn DATE, unabhaengig BOOLEAN
);
INSERT INTO klienten (vorname, nachname) VALUES ('Klientin','Vorhanden');
