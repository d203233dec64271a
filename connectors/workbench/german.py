"""German words for what events tell, as offices and advice centres call it.

As `connectors/workbench/words.py`: a concept and the phrases that mean it. German writes words in
one, so a name is parted into those listed here: "Risikostufe" → risiko, stufe;
"Einwilligungsdatum" → einwilligung, datum. A word that is listed whole stays whole.
"""

from __future__ import annotations

from typing import Final

GERMAN: Final = {
    # persons
    "given_name": "vorname, vornamen, rufname",
    "family_name": "nachname, familienname, zuname, nachnamen, familiennamen",
    "full_name": "vollständiger name, gesamtname",
    "alias": "aliasname, aliasnamen, spitzname, spitznamen, deckname, bekannt als",
    "birth_date": "geburtsdatum, geburtstag, geboren am, geb datum, gebdat, geb am",
    "birth_year": "geburtsjahr",
    "birth_place": "geburtsort",
    "gender": "geschlecht",
    "citizenship": "staatsangehörigkeit, staatsangehörigkeiten, nationalität, staatsbürgerschaft, "
    "herkunftsland",
    "document": "reisepass, pass nummer, passnr, ausweis, ausweisnummer, reisepassnummer, "
    "ausweis nummer, "
    "reisepass nummer, dokument, dokumente, dokumentnummer, dokument nummer, passnummer",
    "official": "ausländerzentralregisternummer, azr nummer, steuer id, personenkennziffer, azr",
    "person": "klient, klientin, klienten, klientinnen, betroffene, betroffener, opfer, person, "
    "personen, bewohner, bewohnerin, bewohnerinnen, geschädigte, geschädigter, mündel",
    # contact
    "phone": "telefon, telefonnummer, telefon nummer, handy, handynummer, handy nummer, "
    "mobilnummer, mobil nummer, mobiltelefon, rufnummer, festnetz",
    "email": "mailadresse, mail adresse, email adresse, emailadresse, e mail adresse",
    "address": "anschrift, wohnanschrift, straße, wohnadresse",
    "post_address": "postanschrift, postadresse, zustelladresse, zustellanschrift, post anschrift",
    "safe_to_call": "anruf möglich, anruf sicher, anruf erlaubt, darf angerufen werden, "
    "telefonisch erreichbar, anrufen erlaubt, anrufen möglich",
    "safe_to_email": "email erlaubt, mail erlaubt, mail möglich, email sicher",
    "safe_to_post": "post erlaubt, post möglich, post sicher, brief möglich",
    "language": "sprache, sprachen, muttersprache, bevorzugte sprache, mutter sprache",
    "interpreter": "dolmetscher, dolmetscherin, sprachmittler, sprachmittlung",
    "interpreter_needed": "dolmetscher erforderlich, dolmetscher benötigt, dolmetscher nötig, "
    "dolmetscherin nötig, dolmetscherin erforderlich, dolmetschbedarf, dolmetscher bedarf, "
    "sprachmittlung erforderlich, sprachmittlung nötig",
    "interpreter_used": "dolmetscher anwesend, dolmetscher eingesetzt",
    "alternative_contact": "notfallkontakt, ansprechpartner, vertrauensperson, notfall kontakt",
    # cases
    "case": "fall, fälle, akte, akten, vorgang, vorgänge, fallakte, fallakten, aktenzeichen",
    "channel": "zugangsweg, zugang, meldeweg, kontaktweg, zugangswege, bekannt durch, "
    "gemeldet durch",
    "age_status": "altersstatus, alters status, altersgruppe, minderjährig, volljährig",
    "group": "familienverband, bedarfsgemeinschaft, haushalt",
    # where and how long
    "accommodation": "unterkunft, unterkünfte, unterbringung, unterbringungen, wohnung, "
    "schutzwohnung, frauenhaus, inobhutnahme, inobhutnahmen",
    "region": "bundesland, landkreis, kreis, bezirk, gebiet",
    "room": "zimmer, zimmernummer, zimmer nummer, bett",
    "start": "beginn, anfang, von, ab, beginndatum, startdatum, begonnen",
    "end": "ende, bis, enddatum, beendet, endedatum",
    "admission": "einzug, aufnahme, aufgenommen, eingezogen, einzugsdatum, aufnahmedatum, "
    "aufgenommen am, einzug am, eingezogen am, aufnahme am",
    "departure": "auszug, ausgezogen, entlassung, entlassen, auszugsdatum, entlassungsdatum, "
    "ausgezogen am, auszug am, entlassen am",
    "exit_reason": "auszugsgrund, entlassungsgrund",
    "opened": "eröffnet, eröffnung, angelegt, fallbeginn, anlagedatum, eröffnungsdatum, "
    "erfasst, eröffnet am, angelegt am, erfasst am, datum eröffnung",
    "closed": "geschlossen, abgeschlossen, abschluss, fallende, abschlussdatum, geschlossen am, "
    "abgeschlossen am",
    "closure_reason": "abschlussgrund, schließungsgrund, beendigungsgrund",
    "retention": "löschfrist, aufbewahren bis, aufbewahrungsfrist, löschen am",
    # assessments and risks
    "screening": "befragung, befragungen, befragt, anhörung, anhörungen, angehört, prüfung, "
    "kontrolle, kontrollen, gespräch, gespräche, erstgespräch, identifizierung, vernehmung",
    "indicators": "anzeichen, indikator, indikatoren, anhaltspunkt, anhaltspunkte, hinweise",
    "exploitation_type": "ausbeutungsform, ausbeutungsformen, ausbeutungsart, art der ausbeutung, "
    "form der ausbeutung, ausbeutung, ausbeutung form, ausbeutung art, art ausbeutung, "
    "form ausbeutung",
    "means_of_control": "kontrollmittel, druckmittel, tatmittel, zwangsmittel",
    "exploitation_place": "ausbeutungsort, ausbeutungsorte, ort der ausbeutung, arbeitsort, "
    "arbeitsstätte, tatort, einsatzort, betriebsstätte",
    "employer": "arbeitgeber, arbeitgeberin, firma, betrieb, unternehmen",
    "account": "schilderung, aussage, bericht, sachverhalt, sachverhaltsschilderung, "
    "fallschilderung, angaben",
    "tool": "fragebogen, erhebungsbogen, instrument, checkliste",
    "needs": "bedarf, bedarfe, bedürfnisse, bedarfserhebung, bedarfserhebungen, "
    "bedarfsermittlung, bedarf erhebung",
    "need_domains": "bedarfsbereiche, bedarfsfelder, bedarf bereiche, hilfebedarf",
    "health": "gesundheit, gesundheitlich, medizinisch, gesundheitszustand, erkrankungen, "
    "medizinischer bedarf, gesundheitsbedarf",
    "disability": "behinderung, behinderungen, beeinträchtigung",
    "dependants": "anzahl kinder, kinderzahl, kinder, zahl der kinder, anzahl der kinder, "
    "unterhaltsberechtigte, kinderanzahl",
    "risk": "risiko, risiken, gefährdung, gefährdungen, gefahr, risikoeinschätzung, "
    "risikoeinschätzungen, gefährdungsbeurteilung, gefährdungseinschätzung, "
    "gefährdungseinschätzungen, risikobewertung, risiko bewertung",
    "risk_level": "risikostufe, gefährdungsstufe, gefährdungsgrad, risiko stufe, risiko grad",
    "level": "stufe, grad, schweregrad",
    "threat": "bedrohung, bedrohungen, drohung, drohungen",
    "review": "überprüfung, nächste überprüfung, wiedervorlage, überprüfen am, überprüft, "
    "überprüfungsdatum, nächste prüfung",
    # services and referrals
    "referral": "überweisung, überweisungen, überwiesen, vermittlung, vermittlungen, vermittelt, "
    "weiterleitung, weitergeleitet, weitervermittlung, verweisung",
    "referral_id": "überweisungsnummer, vermittlungsnummer, überweisung nummer",
    "services": "leistungen, gewünschte leistungen, angefragte leistungen, benötigte leistungen, "
    "hilfen, angefragte hilfen, dienste, erbetene leistungen",
    "service": "leistung, leistungsart, hilfe, hilfeart, maßnahmeart, leistung art, beratung",
    "urgency": "dringlichkeit, priorität, eilbedürftigkeit",
    "respond_by": "antwort bis, antwortfrist, frist, rückmeldung bis, rückmeldefrist, "
    "antwort frist",
    "summary": "zusammenfassung, kurzbeschreibung, kurzdarstellung, anlass, betreff",
    "clinical": "therapienotiz, klinische notiz",
    "plan": "hilfeplan, hilfepläne, förderplan, plan",
    "goals": "ziele, ziel, hilfeziele",
    # decisions and proceedings
    "reasonable_grounds": "anhaltspunkte entscheidung, erstentscheidung, vorläufige entscheidung, "
    "hinreichende anhaltspunkte",
    "conclusive_grounds": "endgültige entscheidung, abschließende entscheidung",
    "outcome": "ergebnis, entscheidung, ausgang, bescheid",
    "reasons": "begründung, entscheidungsgründe",
    "reason": "grund, ursache, anlassgrund",
    "decided": "entschieden, entscheidungsdatum, entscheidung am, bescheiddatum, "
    "entschieden am, beschieden am",
    "recovery": "bedenkzeit, erholungszeit, bedenkfrist, stabilisierungsfrist, ausreisefrist",
    "days": "tage, anzahl tage",
    "proceeding": "verfahren, strafverfahren, ermittlungsverfahren, verfahrensnummer, js nummer, "
    "verfahren nummer",
    "stage": "verfahrensstand, verfahrensstadium, stadium",
    "victim_role": "verfahrensrolle, rolle, prozessrolle",
    "offence": "delikt, straftat, tatvorwurf, straftatbestand",
    "witness_protection": "zeugenschutz",
    "measure": "maßnahme, schutzmaßnahme",
    "asylum": "asyl, asylantrag, asylverfahren",
    "status": "stand, zustand",
    "claim_date": "antragsdatum, antrag am, antrag datum",
    "permit": "aufenthaltstitel, aufenthaltserlaubnis, duldung",
    "valid_until": "gültig bis, ablaufdatum, läuft ab am, befristet bis",
    "compensation": "entschädigung, lohnforderung, lohnforderungen, schadensersatz, forderung, "
    "forderungen, lohnrückstand",
    "claim_ref": "forderungsnummer, antragsnummer, anspruchsnummer",
    "amount": "betrag, summe, höhe, forderungsbetrag, forderungshöhe",
    "currency": "währung",
    "return": "rückkehr, rückführung, freiwillige rückkehr",
    "destination": "zielland, rückkehrland",
    # consent
    "consent": "einwilligung, einwilligungen, einverständnis, zustimmung, "
    "schweigepflichtentbindung",
    "consent_id": "einwilligungsnummer",
    "purposes": "zweck, zwecke, verwendungszweck, verwendungszwecke",
    "scope": "umfang, reichweite",
    "given_by": "erteilt von, erteilt durch, unterschrieben von, eingewilligt durch",
    "method": "methode, form der einwilligung",
    "withdrawn": "widerrufen, widerruf, widerrufsdatum, widerrufen am",
    "given": "erteilt, erteilt am, einwilligungsdatum, unterschrieben am",
    # children
    "guardian": "vormund, vormundschaft, vormundschaften, amtsvormund, pfleger, ergänzungspfleger",
    "independent": "unabhängig",
    "best_interests": "kindeswohl",
    "age_assessment": "altersfeststellung, alterseinschätzung",
    # words of every table
    "date": "datum, am, tag, zeitpunkt, erhoben, eingeschätzt",
    "changed": "geändert, geändert am, änderung, änderungsdatum, aktualisiert, aktualisiert am, "
    "letzte änderung, zuletzt geändert",
    "type": "art, typ, form, kategorie",
    "note": "notiz, notizen, bemerkung, bemerkungen, anmerkung, anmerkungen, vermerk, kommentar",
    "agency": "behörde, stelle, träger, einrichtung, dienststelle, fachstelle, organisation, amt",
    "others": "mitarbeiter, mitarbeiterin, mitarbeitende, mitarbeiterinnen, sachbearbeiter, "
    "sachbearbeiterin, sachbearbeitende, beraterin, beraterinnen, berater, benutzer, nutzer, "
    "bearbeiter, beamte, beamter, bedienstete, personal, ehrenamtliche, lieferanten, spender, "
    "beschuldigte, tatverdächtige, täter, firmen, fachkraft, fachkräfte, ermittler",
}
