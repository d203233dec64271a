-- Unidad de Identificación y Asistencia: expedientes (ministerio)
CREATE TABLE tip_sexo (cod CHAR(1) PRIMARY KEY, descripcion VARCHAR(30) NOT NULL);
INSERT INTO tip_sexo VALUES ('M','Mujer'),('H','Hombre'),('X','No binario'),('D','Desconocido');
CREATE TABLE tip_explotacion (id_tipo INTEGER PRIMARY KEY, descripcion VARCHAR(60) NOT NULL);
INSERT INTO tip_explotacion (descripcion) VALUES ('Explotación sexual'),('Explotación laboral'),('Mendicidad'),('Servidumbre doméstica'),('Matrimonio forzado'),('Extracción de órganos'),('Actividades delictivas');
CREATE TABLE tip_riesgo (cod VARCHAR(2) PRIMARY KEY, descripcion VARCHAR(20) NOT NULL);
INSERT INTO tip_riesgo VALUES ('BA','Bajo'),('ME','Medio'),('AL','Alto'),('MA','Muy alto');
CREATE TABLE tip_alojamiento (id INTEGER PRIMARY KEY, descripcion VARCHAR(60) NOT NULL);
INSERT INTO tip_alojamiento (descripcion) VALUES ('Casa de acogida'),('Piso tutelado'),('Centro de emergencia'),('Centro de menores'),('Otro');
CREATE TABLE funcionarios (id INTEGER PRIMARY KEY, nombre VARCHAR(60) NOT NULL, apellidos VARCHAR(80) NOT NULL, correo VARCHAR(80));
INSERT INTO funcionarios (nombre, apellidos) VALUES ('Ana','Prueba');
CREATE TABLE expedientes (
  id_expediente INTEGER PRIMARY KEY,
  num_expediente VARCHAR(20) UNIQUE,
  ref_mnr VARCHAR(64) UNIQUE,
  fecha_apertura DATE NOT NULL DEFAULT CURRENT_DATE,
  via_entrada VARCHAR(30),
  mayor_menor VARCHAR(20),
  fecha_cierre DATE,
  motivo_cierre VARCHAR(60),
  instructor_id INTEGER REFERENCES funcionarios(id),
  ultima_modificacion TIMESTAMP
);
CREATE TABLE personas (
  id_persona INTEGER PRIMARY KEY,
  ref_persona_mnr VARCHAR(64) UNIQUE,
  nombre VARCHAR(60), primer_apellido VARCHAR(60) NOT NULL DEFAULT '', segundo_apellido VARCHAR(60),
  alias VARCHAR(60), fec_nacimiento DATE, lugar_nacimiento VARCHAR(80), pais_nacionalidad CHAR(2),
  sexo CHAR(1) REFERENCES tip_sexo(cod),
  num_pasaporte VARCHAR(30), nie VARCHAR(12),
  telefono_contacto VARCHAR(25), puede_llamarse BOOLEAN, correo_electronico VARCHAR(80), idioma_preferido VARCHAR(3), precisa_interprete BOOLEAN
);
CREATE TABLE valoraciones_riesgo (
  id_valoracion INTEGER PRIMARY KEY,
  ref_evento_mnr VARCHAR(64) UNIQUE,
  fecha_valoracion DATE,
  nivel_riesgo VARCHAR(2) REFERENCES tip_riesgo(cod),
  amenazas TEXT, proxima_revision DATE
);
CREATE TABLE entrevistas (
  id_entrevista INTEGER PRIMARY KEY,
  ref_evento_mnr VARCHAR(64) UNIQUE,
  fecha_entrevista DATE, indicadores TEXT, id_tipo_explotacion INTEGER REFERENCES tip_explotacion(id_tipo),
  medios_control TEXT, lugar_explotacion VARCHAR(200), empleador VARCHAR(120), relato TEXT
);
CREATE TABLE derivaciones (
  id_derivacion INTEGER PRIMARY KEY,
  ref_evento_mnr VARCHAR(64) UNIQUE,
  num_derivacion VARCHAR(40), fecha_derivacion TIMESTAMP, servicios_solicitados TEXT, urgencia VARCHAR(20), plazo_respuesta TIMESTAMP, resumen VARCHAR(500)
);
CREATE TABLE acogimientos (
  id_acogimiento INTEGER PRIMARY KEY,
  ref_evento_mnr VARCHAR(64) UNIQUE,
  tipo_alojamiento_id INTEGER REFERENCES tip_alojamiento(id), provincia VARCHAR(40), fecha_ingreso DATE, direccion VARCHAR(150), habitacion VARCHAR(10)
);
CREATE TABLE resoluciones (
  id_resolucion INTEGER PRIMARY KEY,
  ref_evento_mnr VARCHAR(64) UNIQUE,
  indicios_razonables VARCHAR(30), fecha_resolucion DATE, fundamentos TEXT
);
INSERT INTO personas (nombre, primer_apellido) VALUES ('Persona','Existente');
