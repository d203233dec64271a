-- An NGO's Access database moved to a server: prefixes, no foreign keys, one wide client table.
CREATE TABLE tlkGender (GenderID INTEGER PRIMARY KEY, GenderDesc VARCHAR(30));
INSERT INTO tlkGender VALUES (1, 'Woman'), (2, 'Man'), (3, 'Other gender'), (4, 'Unknown');
CREATE TABLE tlkHowFound (HowFoundID INTEGER PRIMARY KEY, HowFound VARCHAR(40));
INSERT INTO tlkHowFound VALUES (1, 'Helpline'), (2, 'Street outreach'), (3, 'Police'), (4, 'Self referral'), (5, 'Other');
CREATE TABLE tblClients (
  ClientID INTEGER PRIMARY KEY, NRMRef VARCHAR(64), strFirstName VARCHAR(50), strSurname VARCHAR(50), strNickname VARCHAR(50), datDOB TIMESTAMP,
  GenderID INTEGER, strNationality VARCHAR(50), strTelephone VARCHAR(30), ynSafeToCall BOOLEAN, strEmail VARCHAR(80), strPostalAddress VARCHAR(200),
  strLanguage VARCHAR(30), ynInterpreterRequired BOOLEAN, HowFoundID INTEGER, datIntakeDate TIMESTAMP, datClosed TIMESTAMP, strClosingReason VARCHAR(60),
  strNextOfKin VARCHAR(80), intNoOfDependants INTEGER, memNotes TEXT, strCaseworker VARCHAR(40), ynArchived BOOLEAN
);
CREATE TABLE tblServices (
  ServiceID INTEGER PRIMARY KEY, ExternalID VARCHAR(64), ClientID INTEGER, strServiceType VARCHAR(40), datStartDate TIMESTAMP, datEndDate TIMESTAMP,
  strOutcome VARCHAR(60), curCost NUMERIC(10,2), strFunder VARCHAR(40)
);
CREATE TABLE tblNeedsAssessment (
  NeedsID INTEGER PRIMARY KEY, HubRef VARCHAR(64), ClientID INTEGER, strNeedsAreas TEXT, memMedicalNeeds TEXT, strDisability VARCHAR(100), intDependents INTEGER, datAssessmentDate TIMESTAMP
);
CREATE TABLE tblVolunteers (VolunteerID INTEGER PRIMARY KEY, strFirstName VARCHAR(50), strSurname VARCHAR(50), strTelephone VARCHAR(30), datDBSCheck TIMESTAMP);
INSERT INTO tblClients (ClientID, strFirstName) VALUES (1, 'CANARY');
