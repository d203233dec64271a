-- Une association française.
CREATE TABLE sexe (code CHAR(1) PRIMARY KEY, libelle VARCHAR(20));
INSERT INTO sexe VALUES ('F', 'Féminin'), ('H', 'Masculin'), ('A', 'Autre genre'), ('I', 'Inconnu');
CREATE TABLE type_hebergement (id INTEGER PRIMARY KEY, libelle VARCHAR(60));
INSERT INTO type_hebergement VALUES (1, 'Foyer'), (2, 'Hôtel'), (3, 'Famille d''accueil'), (4, 'Autre');
CREATE TABLE personne_accompagnee (
  id INTEGER PRIMARY KEY, ref_externe VARCHAR(64), nom VARCHAR(60), prenom VARCHAR(60), surnom VARCHAR(60), date_naissance DATE, lieu_naissance VARCHAR(80),
  sexe CHAR(1) REFERENCES sexe(code), nationalite VARCHAR(60), telephone VARCHAR(20), courriel VARCHAR(90), langue_parlee VARCHAR(10), interprete_requis CHAR(1) CHECK (interprete_requis IN ('O', 'N')),
  numero_passeport VARCHAR(40), nb_enfants INTEGER, referent VARCHAR(60), date_creation TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE hebergement (
  id INTEGER PRIMARY KEY, nrm_dossier VARCHAR(64), type_id INTEGER REFERENCES type_hebergement(id), date_entree DATE, date_sortie DATE, motif_sortie VARCHAR(60), adresse VARCHAR(200), no_chambre VARCHAR(8), prix_nuit NUMERIC(8,2)
);
CREATE TABLE orientation (
  id INTEGER PRIMARY KEY, nrm_ref VARCHAR(64) UNIQUE, services_demandes TEXT, urgence VARCHAR(10), repondre_avant TIMESTAMP, resume TEXT, date_orientation TIMESTAMP
);
CREATE TABLE evaluation_risque (
  id INTEGER PRIMARY KEY, nrm_ref VARCHAR(64), niveau_risque VARCHAR(12) CHECK (niveau_risque IN ('faible', 'moyen', 'élevé', 'immédiat')), menaces TEXT, prochaine_revue DATE, evaluateur VARCHAR(40)
);
CREATE TABLE entretien (
  id INTEGER PRIMARY KEY, nrm_ref VARCHAR(64), date_entretien TIMESTAMP, indicateurs TEXT, forme_exploitation VARCHAR(200), lieu_exploitation VARCHAR(200), recit TEXT, duree_minutes INTEGER
);
