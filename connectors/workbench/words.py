"""Words for what events tell, as case files, registers and case systems call it: English, French,
Spanish, and the abbreviations that column names are made of.

A concept and the phrases that mean it, parted by commas, without accents. Names of fields go
through the same words, so a field's own name need not be listed.
"""

from __future__ import annotations

from typing import Final

WORDS: Final = {
    # persons
    "given_name": "given name, given names, first name, firstname, forename, forenames, fname, "
    "prenom, prenoms, prenom usuel, nombre, nombres, nombre pila, primer nombre, "
    "christian name",
    "family_name": "family name, last name, lastname, surname, surnames, lname, nom, nom "
    "famille, nom de famille, nom naissance, apellido, apellidos, primer "
    "apellido",
    "full_name": "full name, fullname, nom complet, nombre completo",
    "alias": "alias, aliases, alias names, aka, known as, nickname, surnom, alias connu, apodo, "
    "other names",
    "birth_date": "date of birth, birth date, birthdate, dob, d o b, born on, born, date birth, "
    "date naissance, date de naissance, ddn, dt naiss, fecha nacimiento, fecha de "
    "nacimiento, fec nac, "
    "fecha nac, f nac, f nacimiento, nacimiento",
    "birth_year": "year of birth, birth year, yob, annee naissance, ano nacimiento",
    "birth_place": "birth place, place of birth, birthplace, pob, lieu naissance, lieu de "
    "naissance, lugar nacimiento, lugar de nacimiento",
    "precision": "precision, accuracy, exactitude",
    "gender": "gender, sex, sexe, genre, sexo, genero, gndr",
    "citizenship": "citizenship, citizenships, nationality, nationalities, nationalite, "
    "nationalites, nacionalidad, nacionalidades, ciudadania, citoyennete, nat, "
    "natio, country of citizenship, country of nationality, nationality country, "
    "pays nationalite, country nationality, "
    "pais nacionalidad, pais de nacionalidad, pais origen",
    "document": "document, documents, document ref, document refs, document number, document no, "
    "passport number, passport no, passport, passeport, num passeport, numero passeport, "
    "pasaporte, id document, piece identite, identity document, travel document no, "
    "num pasaporte, numero pasaporte, nro documento, num documento, numero documento, "
    "documento, documentos, documento identidad, doc identidad",
    "official": "official ref, official refs, national id, national id no, national number, "
    "ssn, nin, nss, curp, numero nacional, identifiant national, "
    "nie, dni, cedula, num nie, numero identidad",
    "person": "person, client, clients, victim, victims, vict, beneficiary, beneficiaries, "
    "resident, residents, individual, persona, personne, personnes, beneficiaire, "
    "beneficiaires, victime, victimes, usager, persona usuaria, beneficiario, "
    "victima, worker, participant, dim person, survivor, subject, "
    "personas, victimas, usuaria, usuarias, trabajador, trabajadora, trabajadores, "
    "beneficiaria, beneficiarias, persona atendida",
    # contact
    "phone": "phone, phone number, telephone, tel, telefon, telefono, mobile, mobile number, gsm, "
    "cell, portable, movil, numero telephone, num tel, contact number, phone no, contact "
    "phone, telno, "
    "telefono contacto, telefono movil, telefono de contacto, num telefono, celular, tel contacto",
    "email": "email, e mail, mail, email address, courriel, adresse courriel, correo, correo "
    "electronico, adresse mail",
    "address": "address, addr, adresse, domicilio, direccion, street address, "
    "domicilio actual, direccion actual",
    "post_address": "post address, postal address, mailing address, adresse postale, direccion "
    "postal, correspondence address",
    "safe_to_call": "safe to call, safe call, ok to call, call ok, can call, may call, appel "
    "possible, appel sur, puede llamar, safe to phone, phone safe, safe phone, "
    "tel safe, "
    "puede llamarse, llamada segura, telefono seguro, se puede llamar",
    "safe_to_email": "safe to email, ok to email, email ok, email safe, safe email, "
    "correo seguro, puede escribirse",
    "safe_to_post": "safe to post, ok to post, post ok, safe to write, post safe",
    "language": "language, languages, lang, langue, idioma, lengua, mother tongue, preferred "
    "language, language code, spoken language, langue parlee, preferred lang, "
    "idioma preferido, idiomas, lengua materna, idioma materno, lengua preferida",
    "interpreter": "interpreter, interprete, interprete requis, translator",
    "interpreter_needed": "interpreter needed, interpreter required, needs interpreter, "
    "interpreter yn, interprete necessaire, besoin interprete, interprete "
    "requis, requires interpreter, interpreter reqd, necesita interprete, "
    "precisa interprete, requiere interprete, interprete necesario, necesidad interprete",
    "interpreter_used": "interpreter used, interpreter present",
    "alternative_contact": "alternative contact, alt contact, emergency contact, next of kin, "
    "nok, contact urgence, contacto alternativo, contact alternatif",
    "alternative_relation": "alternative relation, relation contact, contact relation, "
    "relationship to contact, nok relation, emergency contact relation, "
    "lien contact",
    "communication_aid": "communication aid, communication needs, aide communication",
    # cases
    "case": "case, cases, file, dossier, dossiers, expediente, caso, matter, case file, incident, "
    "expedientes, casos, expte",
    "jurisdiction": "jurisdiction, juridiction, jurisdiccion",
    "channel": "channel, source of contact, how found, entry point, canal, voie, referral "
    "source, how referred, source channel, contact channel, mode entree, identified "
    "by, intake channel, entry channel, source entree, "
    "via entrada, via de entrada, via acceso, via deteccion, forma deteccion, procedencia, "
    "canal entrada",
    "age_status": "age status, age group, adult child, minor adult, adult minor, age category, "
    "majeur mineur, statut age, adulte mineur, mayor menor, grupo edad",
    "age_band": "age band, age range, tranche age, rango edad",
    "local_case_ref": "local case ref, local case reference",
    "group": "group ref, household, family group, groupe",
    # where and how long
    "accommodation": "accommodation, accomodation, placement, placements, shelter, housing, "
    "lodging, hebergement, hebergements, logement, alojamiento, bed, stay, "
    "stays, residence stay, housing placement, safe house stay, sejour, "
    "alojamientos, acogimiento, acogimientos, acogida, vivienda, recurso alojamiento, plaza",
    "region": "region, area, county, province, departement, district, "
    "provincia, comunidad autonoma, comarca, municipio",
    "room": "room, room no, room number, chambre, habitacion, bed no, unit, no chambre, "
    "num habitacion, cuarto",
    "start": "start, start date, started on, starts on, date start, begin date, begin, from date, "
    "date from, date debut, debut, fecha inicio, inicio, commenced on, started, date "
    "started, start dt, date begin",
    "end": "end, end date, ended on, ends on, to date, date to, date fin, fin, fecha fin, finish "
    "date, date end, ended, expected end, end dt, date ended",
    "admission": "admission, admission date, admitted on, check in, checked in, move in, moved "
    "in, moved in on, move in date, arrival, date entree, entree, entry date, "
    "fecha ingreso, ingreso, date admission, admitted, arrived on shelter, "
    "alta, fecha alta, fecha entrada, fecha acogida",
    "departure": "departure, departure date, check out, moved out, move out, move out date, "
    "exit date, date sortie, sortie, left on, fecha salida, salida, discharge "
    "date, discharged on, exit, moved out on, date left, "
    "baja, fecha baja",
    "exit_reason": "exit reason, motif sortie, reason for leaving, leaving reason, departure "
    "reason, discharge reason, motivo salida, reason left, reason out",
    "opened": "opened, opened on, open date, date opened, opening date, registered on, "
    "registration date, date registered, intake date, date ouverture, ouverture, "
    "fecha apertura, date intake, created on, date creation, date recorded, opened "
    "dt, reg date, date reg, registered",
    "closed": "closed, closed on, closing date, close date, date closed, date cloture, cloture, "
    "fecha cierre, closure date, closed dt, closure",
    "closure_reason": "closure reason, close reason, reason closed, closing reason, motif "
    "cloture, motivo cierre",
    "retention": "retention until, keep until, destroy after, conservation jusqu",
    # assessments and risks
    "screening": "screening, screened, inspected, interviewed, interview, interviews, entretien, "
    "entretiens, entrevista, identification interview, inspection, inspections, finding, "
    "findings, controle, controles, "
    "entrevistas, inspecciones, actuacion, actuaciones, valoracion indicios, deteccion, "
    "fecha inspeccion",
    "indicators": "indicator, indicators, indicateur, indicateurs, indicador, indicadores, "
    "signs, red flags, trafficking indicators, indicators found, "
    "indicio, indicios, indicadores trata, senales",
    "exploitation_type": "exploitation type, exploitation types, type of exploitation, form of "
    "exploitation, type exploitation, forme exploitation, exploitation "
    "form, tipo explotacion, exploitation, exploit type, forms of "
    "exploitation, "
    "tipo de explotacion, forma explotacion, forma de explotacion, modalidad explotacion, "
    "explotacion",
    "means_of_control": "means of control, control means, method of control, methods of "
    "control, moyens controle, moyen controle, medios control, control "
    "methods, "
    "medio control, medios de control, formas control",
    "exploitation_place": "exploitation place, exploitation places, place of exploitation, lieu "
    "exploitation, lieux exploitation, lugar explotacion, exploitation "
    "location, workplace, work site, site, site address, place of work, "
    "lieu travail, "
    "lugar de explotacion, centro trabajo, centro de trabajo, lugar trabajo",
    "employer": "employer, employer name, employeur, empleador, company, company name, patron, "
    "entreprise, empresa, business name",
    "account": "account, narrative, statement, story, recit, relato, declaration, testimony, "
    "interview notes, victim statement, account given, "
    "declaracion victima, relato hechos, testimonio, declaracion, manifestacion",
    "deidentified": "deidentified, anonymised, anonymous account",
    "tool": "tool, screening tool, form used, outil, instrument",
    "screener": "screened by, screened by role, interviewer role, role screener",
    "needs": "needs, need, besoins, besoin, necesidades, needs assessment, evaluation besoins, "
    "assessment of needs, "
    "valoracion necesidades, evaluacion necesidades",
    "need_domains": "domains, need domains, needs domains, domaines, need areas, areas of need, "
    "needs areas, "
    "ambitos, ambitos necesidad, areas necesidad",
    "health": "health, medical, sante, salud, medical needs, health needs, besoins medicaux, "
    "medical condition, medical notes, health condition, besoins sante, health notes, "
    "necesidades salud, medical needs notes",
    "disability": "disability, disabilities, handicap, discapacidad, impairment",
    "dependants": "dependants, dependents, no of dependants, number of children, children "
    "count, nb enfants, nombre enfants, personnes charge, numero hijos, num "
    "children, dependent children, no children, num dependants, enfants charge, "
    "hijos, hijos cargo, num hijos, hijos a cargo, personas a cargo, menores a cargo",
    "risk": "risk, risks, risque, risques, riesgo, risk assessment, evaluation risque, danger, "
    "valoracion riesgo, valoraciones riesgo, evaluacion riesgo, evaluaciones riesgo, "
    "valoracion de riesgo, evaluacion de riesgo",
    "risk_level": "risk level, niveau risque, niveau de risque, nivel riesgo, risk rating, risk "
    "grade, "
    "nivel de riesgo, grado riesgo",
    "level": "level, niveau, nivel, rating, severity, grade",
    "threat": "threat, threats, menace, menaces, amenaza, amenazas, danger from, threat types",
    "review": "review, review date, review on, next review, date revue, date revision, reviewed "
    "by, review due, prochaine revue, fecha revision, revision, next review date, "
    "date next review, "
    "proxima revision, fecha proxima revision, revisar antes",
    # services and referrals
    "referral": "referral, referrals, referred, orientation, orientations, derivacion, "
    "derivaciones, reference in, handover, referral in, incoming referral",
    "referral_id": "referral id, referral no, referral number, num orientation, "
    "num derivacion, numero derivacion, codigo derivacion",
    "services": "services, services requested, requested services, services demandes, "
    "servicios, needed services, service requested, servicios solicitados, "
    "servicios, servicios requeridos, prestaciones solicitadas",
    "service": "service, service type, type service, type of service, prestation, prestations, "
    "servicio, support type, assistance type, activity, episode, service episode, service "
    "code",
    "urgency": "urgency, urgence, urgencia, priority, priorite, prioridad, urgency level",
    "respond_by": "respond by, answer by, response due, reply by, due date, reponse avant, "
    "repondre avant, deadline, response deadline, due by, echeance, fecha limite, "
    "plazo respuesta, plazo de respuesta, plazo, responder antes, fecha respuesta, "
    "limite respuesta",
    "summary": "summary, resume, resumen, synopsis, reason for referral, referral summary, brief, "
    "referral notes, resume orientation, "
    "resumen caso, sintesis",
    "clinical": "clinical note, clinical notes, clinical, note clinique, notas clinicas, "
    "therapist "
    "notes, counsellor notes",
    "plan": "plan, support plan, care plan, plan accompagnement, plan apoyo, action plan",
    "goals": "goals, goal, objectifs, objetivos, plan goals, objectives",
    "client_agreed": "client agreed, agreed by client, accord personne, consentement plan",
    # decisions and proceedings
    "reasonable_grounds": "reasonable grounds, rg, rg decision, motifs raisonnables, indicios "
    "razonables, first decision, preliminary decision, reasonable grounds "
    "decision, "
    "motivos razonables, indicio razonable",
    "conclusive_grounds": "conclusive grounds, cg, cg decision, final decision, motifs "
    "concluants, decision finale, conclusive grounds decision, "
    "motivos concluyentes, resolucion definitiva",
    "outcome": "outcome, result, resultat, resultado, decision, conclusion, finding result, "
    "resolucion, fallo, sentido resolucion",
    "reasons": "reasons, reasoning, motivation, fundamentos, decision text, grounds text, "
    "motivacion resolucion, fundamentacion",
    "reason": "reason, motif, motivo, cause, raison",
    "decided": "decided on, decision date, date decision, decided, date of decision, fecha "
    "decision, decided dt, dt decision, "
    "fecha resolucion, fecha de resolucion, resuelto el, fecha dictamen",
    "recovery": "recovery period, recovery, reflection period, reflection, delai reflexion, delai "
    "retablissement, periodo reflexion, recovery and reflection, reflection delay, periodo "
    "restablecimiento, delai reflexion fin",
    "days": "days, no of days, nb jours, dias, number of days, minimum days, jours",
    "proceeding": "proceeding, proceedings, prosecution, criminal case, procedure penale, "
    "proceso penal, court case, investigation, enquete, procedure, proceeding "
    "ref, crime no, crime number, crime ref, numero procedure, num procedure, "
    "investigation no, court case no",
    "stage": "stage, phase, etape, etapa, procedural stage, stage of case",
    "victim_role": "victim role, role of victim, witness role, qualite, status in proceedings, "
    "role in case, procedural role, rol",
    "offence": "offence, offense, offence code, crime type, crime code, infraction, delito, "
    "qualification, code infraction, iccs, iccs code",
    "alleged": "alleged offence, non punishment, suspected offence",
    "witness_protection": "witness protection, protection temoin, proteccion testigos",
    "measure": "measure, mesure, medida, protective measure",
    "asylum": "asylum, asylum claim, asile, demande asile, asilo",
    "status": "status, statut, estado, state",
    "claim_date": "claim date, date of claim, date demande, fecha solicitud",
    "permit": "residence permit, permit, titre sejour, permiso residencia, residence title",
    "valid_until": "valid until, valid to, expires on, expiry date, expiry, date expiration, "
    "valable jusqu, valide jusqu, fecha vencimiento, expires, valid thru, date "
    "fin validite, "
    "valido hasta, vigente hasta, vigencia, caduca, fecha caducidad, valida hasta",
    "compensation": "compensation, indemnisation, indemnizacion, indemnity, compensation claim, "
    "wage claim, back wages, wages owed, claim, claims, wages, "
    "reclamacion, reclamaciones, reclamacion salarial, salarios adeudados",
    "claim_ref": "claim ref, claim no, claim number, num demande, claim reference, "
    "num reclamacion, numero reclamacion",
    "route": "route, procedure type, claim route",
    "amount": "amount, montant, monto, importe, sum, amount claimed, montant demande, value "
    "claimed, amount owed, "
    "cuantia, cantidad",
    "currency": "currency, devise, moneda, ccy, curr",
    "return": "return, retour, retorno, voluntary return, repatriation",
    "destination": "destination, destination country, pays destination, pais destino",
    # consent
    "consent": "consent, consents, consentement, consentements, consentimiento, gdpr consent, "
    "permission, "
    "consentimientos",
    "consent_id": "consent id, consent ref, consent no, consent number, ref consentement",
    "purposes": "purposes, purpose, finalites, finalite, finalidad, finalidades, consent purposes",
    "scope": "scope, portee, alcance, perimetre",
    "given_by": "given by, consent by, donne par, signed by, consented by, otorgado por, "
    "dado por, firmado por, prestado por",
    "method": "method, methode, metodo, means, how given, manner, consent method",
    "withdrawal_channel": "withdrawal channel, how to withdraw",
    "withdrawn": "withdrawn, withdrawn on, withdrawal, retrait, retire le, revoked, date retrait",
    "extent": "extent, etendue",
    "given": "given on, date given, consent date, date consentement, signed on, date signed, "
    "fecha "
    "consentimiento, date signature, consent given on",
    # children
    "guardian": "guardian, tuteur, tutor, tutrice, guardian agency, legal guardian, organisme "
    "tuteur, tutelle",
    "best_interests": "best interests, interet superieur, interes superior",
    "age_assessment": "age assessment, evaluation age, determinacion edad",
    # words of every table
    "event": "event, events, evento, eventos, evenement, evenements, ereignis, ereignisse",
    "changed": "changed, modified, updated, last modified, last updated, changed on, modified on, "
    "date modified, date updated, modifie, modification, mise jour, maj, modificado, "
    "modificacion, "
    "actualizado, actualizacion, ultima modificacion, fecha modificacion, fecha actualizacion",
    "date": "date, dt, on, datetime, day, jour, fecha, dte",
    "type": "type, kind, tipo, sorte, nature",
    "note": "note, notes, remarks, remark, comments, comment, observations, observaciones, "
    "commentaire, commentaires, free text, memo",
    "agency": "agency, organisation, organization, agence, organisme, organismo, org, "
    "institution, "
    "referred by, partner, source agency, referring agency, organisme orienteur, agencia, "
    "sender",
    "emergency": "emergency",
    "others": "staff, volunteer, volunteers, employee, employees, user, users, officer, officers, "
    "personnel, benevole, benevoles, salarie, salaries, supplier, suppliers, donor, donors, "
    "funder, funders, member, members, caseworker, caseworkers, companies, vendor, vendors, "
    "empleado, empleados, usuario, usuarios, voluntario, voluntarios, proveedor, "
    "utilisateur, utilisateurs, perpetrator, perpetrators, suspect, suspects, auteur, "
    "auteurs, interpreters, "
    "funcionario, funcionarios, funcionaria, funcionarias, inspector, inspectores, inspectora, "
    "tecnico, tecnica, tecnicos, instructor, instructores, profesional, profesionales, "
    "trabajador social, trabajadora social, agente, agentes, empresas, presunto autor, "
    "investigado",
}

ARTICLES: Final = frozenset(
    {
        "a", "an", "d", "de", "del", "des", "du", "el", "l", "la", "las", "le", "les", "los", "of",
        "the"
    }
)  # fmt: skip

ABBREVIATED: Final = {
    "dt": "date", "dte": "date", "fec": "date", "fecha": "date", "loc": "location",
    "num": "number", "nr": "number", "nbr": "number", "numero": "number", "addr": "address",
    "adr": "address", "ref": "ref", "nat": "nationality", "lang": "language",
    "desc": "description", "org": "organisation", "organization": "organisation",
    "assmt": "assessment", "lieu": "location", "lugar": "location", "place": "location",
    "locations": "location", "places": "location", "lieux": "location", "descr": "description",
    "acc": "accommodation",
}  # fmt: skip

EMPTY: Final = frozenset(
    {
        "and", "at", "b", "bln", "by", "c", "cd", "chr", "code", "codes", "col", "current", "dat",
        "data", "dim", "e", "en", "f", "fact", "fct", "field", "fk", "flag", "fld", "flg", "for",
        "has", "i", "id", "ids", "in", "info", "int", "is", "k", "key", "list", "lk", "lkp", "lng",
        "m", "main", "n", "name", "no", "nr", "num", "o", "or", "p", "pk", "primary", "r", "record",
        "ref", "register", "registre", "registro", "s", "sk", "str", "t", "tab", "table", "tbl",
        "tlk", "tlu", "to", "txt", "un", "una", "une", "v", "val", "value", "w", "x", "y", "yn"
    }
)  # fmt: skip
"""Words that part no two names: prefixes of Access and of warehouses, technical ends."""
