-- Una inspección de trabajo. Held out: written before it was measured, not tuned on.
CREATE TABLE cat_tipo_explotacion (id INTEGER PRIMARY KEY, descripcion VARCHAR(60));
INSERT INTO cat_tipo_explotacion VALUES (1, 'Trabajo forzoso'), (2, 'Servidumbre'), (3, 'Explotación sexual'), (4, 'Otra');
CREATE TABLE inspectores (id INTEGER PRIMARY KEY, nombre VARCHAR(60), apellidos VARCHAR(60));
CREATE TABLE trabajadores (
  id INTEGER PRIMARY KEY, codigo_externo VARCHAR(64) UNIQUE, nombres VARCHAR(60), apellidos VARCHAR(80), f_nacimiento DATE, genero VARCHAR(20), nacionalidad VARCHAR(40), nro_documento VARCHAR(30), telefono VARCHAR(20), lengua_materna VARCHAR(20), requiere_interprete BOOLEAN, inspector_id INTEGER REFERENCES inspectores(id)
);
CREATE TABLE actuaciones (
  id INTEGER PRIMARY KEY, nrm_ref VARCHAR(64) UNIQUE, fecha_inspeccion DATE, indicios TEXT, tipo_explotacion INTEGER REFERENCES cat_tipo_explotacion(id), centro_trabajo VARCHAR(150), empresa VARCHAR(100), declaracion TEXT, acta VARCHAR(40)
);
CREATE TABLE reclamaciones (
  id INTEGER PRIMARY KEY, nrm_ref VARCHAR(64) UNIQUE, num_reclamacion VARCHAR(40), importe NUMERIC(10,2), moneda VARCHAR(3), fecha_reclamacion DATE
);
CREATE TABLE evaluaciones_riesgo (
  id INTEGER PRIMARY KEY, nrm_ref VARCHAR(64) UNIQUE, fecha DATE, nivel VARCHAR(10), amenazas TEXT, fecha_revision DATE
);
