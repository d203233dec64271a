-- Un programa de atención en España. Held out: written before it was measured, not tuned on.
CREATE TABLE cat_sexo (id INTEGER PRIMARY KEY, nombre VARCHAR(20));
INSERT INTO cat_sexo VALUES (1, 'Mujer'), (2, 'Hombre'), (3, 'Otro'), (9, 'Desconocido');
CREATE TABLE beneficiarias (
  id INTEGER PRIMARY KEY, nrm_ref VARCHAR(64) UNIQUE, nombre VARCHAR(60), apellidos VARCHAR(80), apodo VARCHAR(40), fecha_nacimiento DATE, lugar_nacimiento VARCHAR(60),
  sexo_id INTEGER REFERENCES cat_sexo(id), nacionalidad VARCHAR(40), pasaporte VARCHAR(30), telefono_movil VARCHAR(20), correo VARCHAR(80), idioma VARCHAR(20), necesita_interprete BOOLEAN, hijos_a_cargo INTEGER, tecnica_referente VARCHAR(60)
);
CREATE TABLE alojamientos (
  id INTEGER PRIMARY KEY, ref_externa VARCHAR(64), tipo_alojamiento VARCHAR(30), fecha_ingreso DATE, fecha_salida DATE, motivo_salida VARCHAR(60), direccion VARCHAR(150), habitacion VARCHAR(10), coste_diario NUMERIC(8,2)
);
CREATE TABLE derivaciones (
  id INTEGER PRIMARY KEY, nrm_ref VARCHAR(64) UNIQUE, servicios_solicitados TEXT, prioridad VARCHAR(10), fecha_limite TIMESTAMP, resumen TEXT, fecha_derivacion TIMESTAMP, aceptada BOOLEAN
);
CREATE TABLE consentimientos (
  id INTEGER PRIMARY KEY, nrm_ref VARCHAR(64), finalidades TEXT, fecha_consentimiento DATE, valido_hasta DATE, otorgado_por VARCHAR(30), fichero VARCHAR(100)
);
