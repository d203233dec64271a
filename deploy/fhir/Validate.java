import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import ca.uhn.fhir.validation.SingleValidationMessage;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;

/** One resource a line: every distinct message with how often it came; exit 1 if any is an error. */
public class Validate {
  public static void main(String[] files) throws Exception {
    FhirContext r4 = FhirContext.forR4();
    FhirValidator validator = r4.newValidator();
    validator.registerValidatorModule(new FhirInstanceValidator(new ValidationSupportChain(
        new DefaultProfileValidationSupport(r4),
        new CommonCodeSystemsTerminologyService(r4),
        new InMemoryTerminologyServerValidationSupport(r4))));
    Map<String, Integer> messages = new TreeMap<>();
    int resources = 0;
    int wrong = 0;
    for (String file : files) {
      for (String line : Files.readAllLines(Path.of(file))) {
        resources++;
        boolean error = false;
        for (SingleValidationMessage one : validator.validateWithResult(line).getMessages()) {
          error |= one.getSeverity().compareTo(ResultSeverityEnum.ERROR) >= 0;
          String place = String.valueOf(one.getLocationString()).replaceAll("\\[\\d+\\]", "[]");
          messages.merge(one.getSeverity() + " " + place + ": " + one.getMessage(), 1, Integer::sum);
        }
        wrong += error ? 1 : 0;
      }
    }
    messages.forEach((message, count) -> System.out.println(count + " x " + message));
    System.out.println(resources + " resources, " + wrong + " with errors");
    System.exit(wrong == 0 && resources > 0 ? 0 : 1);
  }
}
