-- Eine Fachberatungsstelle. Held out: written before it was measured, not tuned on.
CREATE TABLE kat_geschlecht (id INTEGER PRIMARY KEY, name VARCHAR(20));
INSERT INTO kat_geschlecht VALUES (1, 'Frau'), (2, 'Mann'), (3, 'divers'), (9, 'keine Angabe');
CREATE TABLE beraterinnen (id INTEGER PRIMARY KEY, vorname VARCHAR(40), familienname VARCHAR(40));
CREATE TABLE klientinnen (
  id INTEGER PRIMARY KEY, externe_ref VARCHAR(64) UNIQUE, vornamen VARCHAR(60), familienname VARCHAR(80), spitzname VARCHAR(40), geb_datum DATE, geburtsland VARCHAR(60),
  geschlecht INTEGER REFERENCES kat_geschlecht(id), nationalitaet VARCHAR(40), passnummer VARCHAR(30), handynummer VARCHAR(20), mailadresse VARCHAR(80), sprache VARCHAR(20), dolmetscherin_noetig BOOLEAN, anzahl_kinder INTEGER, beraterin_id INTEGER REFERENCES beraterinnen(id)
);
CREATE TABLE unterkuenfte (
  id INTEGER PRIMARY KEY, nrm_ref VARCHAR(64) UNIQUE, art_der_unterkunft VARCHAR(30), einzugsdatum DATE, auszugsdatum DATE, auszugsgrund VARCHAR(60), adresse VARCHAR(150), zimmernummer VARCHAR(10), tagessatz NUMERIC(8,2)
);
CREATE TABLE vermittlungen (
  id INTEGER PRIMARY KEY, nrm_ref VARCHAR(64) UNIQUE, angefragte_leistungen TEXT, prioritaet VARCHAR(10), frist TIMESTAMP, kurzbeschreibung TEXT, vermittelt_am TIMESTAMP, angenommen BOOLEAN
);
CREATE TABLE einwilligungen (
  id INTEGER PRIMARY KEY, nrm_ref VARCHAR(64) UNIQUE, zwecke TEXT, einwilligungsdatum DATE, gueltig_bis DATE, erteilt_von VARCHAR(30), datei VARCHAR(100)
);
